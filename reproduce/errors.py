"""What can be wrong with what a user gave, each kind with its exit status."""


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
