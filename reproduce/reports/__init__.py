"""A file per page. A page is a view of stored records: nothing is trained to draw one.

A page module offers HELP (a line), `rows(request)` (what it runs) and `page(request, failed)` (its text); it may offer
`arguments(parser)` for options of its own. The command line finds it by its file's name.
"""
