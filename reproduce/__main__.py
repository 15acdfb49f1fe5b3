"""Starts `python -m reproduce`; see cli.py."""

import sys
import warnings

from reproduce.cli import main

if __name__ == "__main__":
    warnings.formatwarning = lambda message, *rest: f"reproduce: warning: {message}\n"
    sys.exit(main())
