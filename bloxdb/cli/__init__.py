"""The command line: one file a group of commands."""

import sys
from contextlib import nullcontext
from pathlib import Path

from bloxdb.cli.signals import not_begun

# A script or a notebook that imports the commands goes on after Ctrl-C as it does itself.
_IS_COMMAND = Path(sys.argv[0] if sys.argv else "").stem in ("bloxdb", "__main__", "-m", "-c")

with not_begun() if _IS_COMMAND else nullcontext():  # most of what a command imports
    from bloxdb.cli.app import main

__all__ = ["main"]
