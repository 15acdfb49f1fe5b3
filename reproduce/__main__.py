"""Entry point of `python -m reproduce`; Ctrl-C and SIGTERM end it cleanly even while its modules are loading."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from reproduce import terminal


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit status; see reproduce.command_line.main."""
    with terminal.sturdy() as output:
        with terminal.leaving_at_once():
            from reproduce import command_line
        return command_line.main(sys.argv[1:] if argv is None else argv, output)


if __name__ == "__main__":
    sys.exit(main())
