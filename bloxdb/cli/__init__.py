"""The command line: one file a group of commands."""

from bloxdb.cli.signals import not_begun

with not_begun():  # most of what a command imports
    from bloxdb.cli.app import main

__all__ = ["main"]
