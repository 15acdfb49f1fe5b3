"""Starts `python -m reproduce`; see cli.py."""

from __future__ import annotations

import sys

from reproduce.cli import main

if __name__ == "__main__":
    sys.exit(main())
