"""Who has an SQLite file locked just now, where the system tells it."""

from __future__ import annotations

import os
import platform
import re
from pathlib import Path

LOCKS = Path("/proc/locks")
"""Where Linux tells who has which file locked: https://man7.org/linux/man-pages/man5/proc_locks.5.html"""

_HELD = re.compile(r"\d+: (?:POSIX|OFDLCK) +\w+ +WRITE (-?\d+) [0-9a-f]+:[0-9a-f]+:(\d+) (\d+) (\d+|EOF)")
_WRITER = {"": range(0x4000_0000, 0x4000_0000 + 512), "-shm": range(120, 121)}
"""The bytes that who writes has locked: https://www.sqlite.org/fileformat2.html#lockbyte, and of a WAL
https://www.sqlite.org/walformat.html#locking_matrix"""


def writers(table: str, inodes: dict[int, range]) -> list[int]:
    """The numbers of the processes that have some bytes of files locked for writing.

    Parameters
    ----------
    table
        What the system tells of locks.
    inodes
        The bytes, by the numbers of files.

    Examples
    --------
    >>> writers("1: POSIX  ADVISORY  WRITE 4711 08:01:99 120 120", {99: range(120, 121)})
    [4711]
    """
    found = []
    for pid, inode, first, last in _HELD.findall(table):
        asked = inodes.get(int(inode), range(0))
        end = asked.stop if last == "EOF" else int(last)
        if int(pid) > 0 and int(first) < asked.stop and end >= asked.start:
            found.append(int(pid))
    return sorted(set(found))


def holder(path: Path) -> str | None:
    """Who writes to a file now, as workers are called, with its command; None where that is not known.

    No file is opened, since closing one would end the locks of this process.
    """
    inodes = {}
    for suffix, places in _WRITER.items():
        beside = Path(f"{path.resolve()}{suffix}")
        if beside.exists():
            inodes[beside.stat().st_ino] = places
    try:
        found = writers(LOCKS.read_text(), inodes)
    except OSError:
        return None
    return ", ".join(map(_named, found)) or None


def by_whom(path: Path) -> tuple[str, str]:
    """Who has a file locked, for a message, and how to find out where that is not known."""
    who = holder(path)
    if who is not None:
        return who, ""
    return (
        "another process, as by an import, an upgrade or a long export",
        f" (`fuser {path}` says which it is)",
    )


def _named(pid: int) -> str:
    if pid == os.getpid():
        return "another transaction of this process"
    return f"{platform.node()}:{pid}{_command(pid)}"


def _command(pid: int) -> str:
    """The command of a process, in brackets; nothing where it is not told."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
    except OSError:
        return ""
    told = " ".join(" ".join(words).split())
    return f" ({told[:100]})" if told else ""
