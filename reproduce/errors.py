"""What can be wrong with what a user gave, each kind with its exit status; and strangers' words in a message."""


class SuiteError(Exception):
    """One clear line for the user, told without a traceback."""

    status = 1


class UsageError(SuiteError):
    """The command asks for something that does not exist: exit status 2."""

    status = 2


class InputError(SuiteError):
    """A file or folder is absent, broken or of the wrong kind: exit status 3. The text names it and the remedy."""

    status = 3


class ModelError(SuiteError):
    """A model broke its contract while it was run: exit status 1, other cells go on."""


def in_a_line(text: str, most: int = 120) -> str:
    """Words of a stranger for a message: printable, of one line, and short."""
    told = text.encode("unicode_escape").decode("ascii")
    return told if len(told) <= most else told[: most - 3] + "..."
