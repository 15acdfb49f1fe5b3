"""The errors shown to the user, each with its exit status, and quoting of foreign text in messages."""


class SuiteError(Exception):
    """An error that is shown to the user as one clear line, without a traceback."""

    status = 1


class UsageError(SuiteError):
    """The command asks for something that does not exist: exit status 2."""

    status = 2


class InputError(SuiteError):
    """A file or folder is absent, broken or of the wrong kind: exit status 3. The message names it and the remedy."""

    status = 3


class ModelError(SuiteError):
    """A model broke its contract during a run: exit status 1. Other runs continue."""


def in_a_line(text: str, most: int = 120) -> str:
    """Make foreign text fit for a message: printable, on one line, and of at most `most` characters."""
    told = text.encode("unicode_escape").decode("ascii")
    return told if len(told) <= most else told[: most - 3] + "..."
