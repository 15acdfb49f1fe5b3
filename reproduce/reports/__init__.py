"""A file per page. A page is a view of stored records: nothing is trained to draw one.

A page module offers HELP (a line), `rows(request)` (what it runs) and `page(request, failed)` (its text). It may offer
`arguments(parser)` for options of its own, `status(request)` for an exit status of its own, VIEW = True if it runs
nothing, so that no log need be found, and LOGS = True if it reads logs, so that records alone do not give it. The
command line finds it by its file's name.
"""
