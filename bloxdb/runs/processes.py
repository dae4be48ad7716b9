"""Names of workers, and which of them are processes that can be looked for.

A run's worker stands in the database as one text, ``MACHINE:PID#PLACE.START.TOKEN``:

- PLACE is where a process number means something: one start of one machine, and there one namespace of
  process numbers. Two containers have two places, though both may be called alike and have a process 1.
- START is when the process began, in ticks of that machine; a number may be used again, but not with it.
- TOKEN is drawn anew for each claim. Only who has it may write the run.

Where a system does not tell PLACE and START, as macOS, they are left out; so they are in databases of earlier
versions. Of such a worker only its heartbeat tells whether it lives.
"""

from __future__ import annotations

import os
import platform
import re
import secrets
from functools import cache
from hashlib import blake2b
from pathlib import Path

from bloxdb.arguments import text

_PROC = Path("/proc")
_NAMESPACES = ("pid", "time")  # of process numbers, and of the clock that START is read from
_PLACED = re.compile(r"(?s:.*):(?P<pid>[0-9]+)#(?P<place>[0-9a-f]{16})\.(?P<start>[0-9]+)(?:\.[0-9a-f]{16})?")
_TAIL = re.compile(r"#(?:[0-9a-f]{16}\.[0-9]+(?:\.[0-9a-f]{16})?|[0-9a-f]{16})\Z")
_DEAD = ("Z", "X")  # a process that has ended, and whose parent has not asked for its end
_STATE, _START = 0, 19  # fields of /proc/PID/stat after the name: proc(5)


def worker_name() -> str:
    """This process, as the database knows it: ``MACHINE:PID``, and what tells it from others called so."""
    name = f"{platform.node()}:{os.getpid()}"
    here, started = this_place(), _started(os.getpid())
    return name if here is None or started is None else f"{name}#{here}.{started}"


def claimed(worker: str) -> str:
    """The name of a worker for one claim of a run, which nobody else ever has."""
    return f"{worker}{'.' if _PLACED.fullmatch(worker) else '#'}{secrets.token_hex(8)}"


def shown(worker: str) -> str:
    """The name of a worker as people know it.

    Examples
    --------
    >>> shown("node17:4711#0123456789abcdef.815.fedcba9876543210")
    'node17:4711'
    >>> shown("mine#fedcba9876543210"), shown("mine")
    ('mine', 'mine')
    """
    return _TAIL.sub("", worker)


def is_here(worker: str) -> bool:
    """Whether a worker is a process of this machine, in this container of it, alive or not.

    Parameters
    ----------
    worker
        Its name, as the database has it.
    """
    found = _PLACED.fullmatch(worker)
    return found is not None and found["place"] == this_place()


def may_live(worker: str) -> bool:
    """Whether a worker may be running.

    Parameters
    ----------
    worker
        The name of a worker, from `worker_name` or a run.

    Returns
    -------
    bool
        False for a process that could be seen here and is gone. A worker of another machine or container may
        live: only its heartbeat can tell.

    Raises
    ------
    QueryError
        It is no text.
    """
    return lives(text(worker, "the name of a worker")) is not False


def lives(worker: str, place: str | None = None) -> bool | None:
    """Whether a worker is a process that runs.

    Parameters
    ----------
    worker
        The name of a worker.
    place
        Where the question is asked; here if None.

    Returns
    -------
    bool or None
        None where its process cannot be seen from here.
    """
    found = _PLACED.fullmatch(worker)
    if found is None or found["place"] != (place or this_place()):
        return None
    pid = int(found["pid"])
    if pid == os.getpid():
        return False  # we ask, so we do not train it
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass  # there is one, of another user
    started = _started(pid)
    if started is None:
        return _is_there(pid)
    return started == int(found["start"])


def place_of(boot: str, machine: str, *namespaces: str) -> str:
    """A short name of the place where a process number means something.

    Parameters
    ----------
    boot
        What tells one start of a machine from all others.
    machine
        What the machine, or container, is called.
    *namespaces
        What tells its namespaces from others.
    """
    return blake2b("\0".join((boot, machine, *namespaces)).encode(), digest_size=8).hexdigest()


def this_place() -> str | None:
    """The place of this process; None where the system does not tell it."""
    return _place_for(os.getpid())


@cache
def _place_for(pid: int) -> str | None:
    """The place of this process, whose number is in the question since a fork may go to another place."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        spaces = [
            str((_PROC / "self/ns" / name).readlink())
            for name in _NAMESPACES
            if name == "pid" or (_PROC / "self/ns" / name).is_symlink()
        ]
    except OSError:
        return None
    return place_of(boot, platform.node(), *spaces)


def _started(pid: int) -> int | None:
    """When a process began; None if it has ended, or nobody says."""
    fields = _fields(pid)
    if fields is None or fields[_STATE] in _DEAD:
        return None
    return int(fields[_START])


def _is_there(pid: int) -> bool | None:
    """For a process whose start is not known: False if it has ended, None if we may not see it."""
    return None if _fields(pid) is None else False


def _fields(pid: int) -> list[str] | None:
    """What the system tells of a process, after its name, in which there may be anything."""
    try:
        return (_PROC / str(pid) / "stat").read_text(errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
