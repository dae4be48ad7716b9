"""``python -m bloxdb`` is the command ``bloxdb``."""

from bloxdb.cli import main

if __name__ == "__main__":
    main(prog_name="python -m bloxdb")
