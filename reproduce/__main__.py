"""Starts `python -m reproduce`; see cli.py."""

from __future__ import annotations

import sys
import warnings

from reproduce.cli import main


def _warning(
    message: Warning | str, category: type[Warning], filename: str, lineno: int, line: str | None = None
) -> str:
    return f"reproduce: warning: {message}\n"


if __name__ == "__main__":
    warnings.formatwarning = _warning
    sys.exit(main())
