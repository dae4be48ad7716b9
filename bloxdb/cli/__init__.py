"""The command line: one file a group of commands."""

from bloxdb.cli.app import main

__all__ = ["main"]
