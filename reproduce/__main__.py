"""`python -m reproduce`: what it needs is loaded under handlers of Ctrl-C and SIGTERM that leave cleanly."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from reproduce import terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit status, as reproduce.command_line.main does."""
    with terminal.sturdy() as output:
        with terminal.leaving_at_once():
            from reproduce import command_line
        return command_line.main(sys.argv[1:] if argv is None else argv, output)


if __name__ == "__main__":
    sys.exit(main())
