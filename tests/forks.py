"""Processes of the command line that start at once: forks of one that has imported everything.

A fork is a process like any other, with streams, a folder, an environment and an exit code of its own, and it
ends as any other. Only the start of Python and the imports, half a second each time and three with torch, are
done once. What Python itself reads when it starts (`$PYTHON…`, the locale) needs a process that it starts.
"""

from __future__ import annotations

import atexit
import gc
import json
import os
import select
import signal
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

_ROOT = Path(__file__).parents[1]
_WITH_TORCH = ("bench", "quickstart", "train")
_END = b"\0"
_BYTES = 4  # of a number
_LOOK = 0.002  # seconds between two looks at processes


class Fork:
    """A process of the command line.

    Attributes
    ----------
    pid
        Its number.
    returncode
        Its exit code, -N where signal N ended it; None as long as nobody has asked, or it goes on.
    """

    def __init__(self, told: socket.socket) -> None:
        self._told = told
        self.pid = _number(told)
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """The exit code; None while it goes on."""
        if self.returncode is None and select.select([self._told], [], [], 0)[0]:
            self.wait()
        return self.returncode

    def wait(self) -> int:
        """Wait for its exit code."""
        if self.returncode is None:
            self.returncode = _number(self._told)
            self._told.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it a signal, if it is there."""
        if self.poll() is None:
            os.kill(self.pid, number)


def start(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Sequence[int]
) -> Fork:
    """Start `bloxdb` with these arguments and standard streams."""
    server = _server()
    message = json.dumps([list(arguments), str(folder), dict(environment)]).encode() + _END
    ours, theirs = socket.socketpair()
    with theirs:
        sent = socket.send_fds(server, [message], [*streams, theirs.fileno()])
        server.sendall(message[sent:])
    return Fork(ours)


def _number(told: socket.socket) -> int:
    """What the process that forks tells; if it has ended itself, there is none."""
    answer = told.recv(_BYTES, socket.MSG_WAITALL)
    if len(answer) != _BYTES:
        raise EOFError("the process that forks has ended")
    return int.from_bytes(answer, "big", signed=True)


@cache
def _server() -> socket.socket:
    """The end of this process; the other is that of the process that forks."""
    ours, theirs = socket.socketpair()
    code = f"from tests.forks import serve; serve({theirs.fileno()})"
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        pass_fds=[theirs.fileno()],
        cwd=_ROOT,  # a test's own folder goes with it, and torch cannot be imported in one that is gone
        env={**os.environ, "PYTHONPATH": str(_ROOT)},
    )
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait()

    atexit.register(end)
    return ours


def serve(descriptor: int) -> None:
    """Fork for each request, until the other end is closed."""
    app: Any = import_module("bloxdb.cli.app")
    for name in dict.fromkeys(app._HOMES.values()):
        import_module(f"bloxdb.cli.{name}")
    import_module("alembic.command")
    import_module("rich.progress")
    gc.freeze()  # a child that collects garbage would copy all of this memory
    connection = socket.socket(fileno=descriptor)
    children: dict[int, socket.socket] = {}
    while True:
        _tell_of(children)
        if children and not select.select([connection], [], [], _LOOK)[0]:
            continue
        message, streams, _, _ = socket.recv_fds(connection, 1 << 16, 4)
        while message and not message.endswith(_END):
            message += connection.recv(1 << 16)
        if not message:
            return
        arguments, folder, environment = json.loads(message[:-1])
        if arguments[:1] and arguments[0] in _WITH_TORCH:
            import_module("bloxdb.trainer.worker")
        asker = socket.socket(fileno=streams.pop())
        child = os.fork()
        if child == 0:
            for other in (connection, asker, *children.values()):
                other.close()
            _become(arguments, folder, environment, streams)
            _end_with(lambda: app.main(prog_name="bloxdb"))
        for stream in streams:
            os.close(stream)
        _tell(asker, child)
        children[child] = asker


def _tell_of(children: dict[int, socket.socket]) -> None:
    """Tell who asked for it of each process that has ended."""
    for child in list(children):
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            with children.pop(child) as asker:
                _tell(asker, os.waitstatus_to_exitcode(status))


def _tell(asker: socket.socket, number: int) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # nobody waits any more
        asker.sendall(number.to_bytes(_BYTES, "big", signed=True))


def _become(
    arguments: Sequence[str], folder: str, environment: Mapping[str, str], streams: Sequence[int]
) -> None:
    """Be the process that was asked for."""
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell may have it ignored in the background
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = ["bloxdb", *arguments]
    sys.stdin, sys.stdout, sys.stderr = (
        os.fdopen(place, mode, -1 if place == 1 and not os.isatty(1) else 1, errors=errors, closefd=False)
        for place, mode, errors in ((0, "r", None), (1, "w", None), (2, "w", "backslashreplace"))
    )
    sys.__stdin__, sys.__stdout__, sys.__stderr__ = sys.stdin, sys.stdout, sys.stderr  # type: ignore[misc]


def _end_with(main: Callable[[], object]) -> NoReturn:
    """Run, and end as Python does, but without taking every object apart."""
    code: object = 0
    try:
        main()
    except SystemExit as error:
        code = error.code or 0
    except BaseException:
        traceback.print_exc()
        code = 1
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        stream.flush()
    os._exit(code if isinstance(code, int) else 1)
