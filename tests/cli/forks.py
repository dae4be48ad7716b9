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
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

_ROOT = Path(__file__).parents[2]
_WITH_TORCH = ("bench", "quickstart", "train")
_END = b"\0"


def start(
    arguments: Sequence[str], folder: Path, environment: Mapping[str, str], streams: Sequence[int]
) -> Callable[[], int]:
    """Start `bloxdb` with these arguments and standard streams; what is given waits for its exit code."""
    server = _server()
    message = json.dumps([list(arguments), str(folder), dict(environment)]).encode() + _END
    sent = socket.send_fds(server, [message], list(streams))
    server.sendall(message[sent:])
    return lambda: _code(server.recv(4, socket.MSG_WAITALL))


def _code(answer: bytes) -> int:
    """The exit code that the other end tells; if it has ended itself, there is none."""
    if len(answer) != 4:
        raise EOFError("the process that forks has ended")
    return int.from_bytes(answer, "big", signed=True)


@cache
def _server() -> socket.socket:
    """The end of this process; the other is that of the process that forks."""
    ours, theirs = socket.socketpair()
    code = f"from tests.cli.forks import serve; serve({theirs.fileno()})"
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
    while True:
        message, streams, _, _ = socket.recv_fds(connection, 1 << 16, 3)
        while message and not message.endswith(_END):
            message += connection.recv(1 << 16)
        if not message:
            return
        arguments, folder, environment = json.loads(message[:-1])
        if arguments[:1] and arguments[0] in _WITH_TORCH:
            import_module("bloxdb.trainer.worker")
        child = os.fork()
        if child == 0:
            connection.close()
            _become(arguments, folder, environment, streams)
            _end_with(lambda: app.main(prog_name="bloxdb"))
        for stream in streams:
            os.close(stream)
        status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        connection.sendall(status.to_bytes(4, "big", signed=True))


def _become(
    arguments: Sequence[str], folder: str, environment: Mapping[str, str], streams: Sequence[int]
) -> None:
    """Be the process that was asked for."""
    for place, stream in enumerate(streams):
        os.dup2(stream, place)
        os.close(stream)
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
