"""What `bloxdb explore` runs: Datasette with our plugin, for one database, on this machine."""

from __future__ import annotations

import ipaddress
import os
import signal
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from types import FrameType
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy.exc import SQLAlchemyError

from bloxdb.db.access import is_on_read_only_medium
from bloxdb.errors import BloxError, NotADatabaseError, QueryError
from bloxdb.extras import library
from bloxdb.web import page
from bloxdb.web.kept import Kept, kept_for

HOST = "127.0.0.1"
"""Where the page is served if nothing else is said: for this machine alone."""

PORT = 8001
"""The first port that is tried, which is Datasette's."""

_PORTS = 20  # that are tried, where none was asked for
_FIRST = ("runs.bin", "means.bin")  # what the first pages wait for
_SETTINGS = {"suggest_facets": False}  # which takes a second for each page of a full database
_POLICY = (
    b"default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; "
    b"img-src 'self' data:; frame-ancestors 'none'; base-uri 'self'"
)
"""What Datasette's own pages may load: its scripts stand in the pages, and nothing comes from elsewhere."""


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches a host.

    Examples
    --------
    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.rstrip(".").lower() == "localhost"


def serve(
    path: Path, host: str, port: int | None, *, opens_browser: bool, tell: Callable[[str], None]
) -> None:
    """Serve a database until Ctrl-C.

    Parameters
    ----------
    path
        The file.
    host
        The address to listen at.
    port
        The port; the first free one from `PORT` on if None, any free one if 0.
    opens_browser
        Whether a browser is opened at the page, where there is one.
    tell
        What is called with the address of the page, once it answers.

    Raises
    ------
    MissingExtraError
        Datasette is not installed.
    NotADatabaseError
        The file is none of ours.
    QueryError
        Nobody can listen there.
    """
    datasette: Any = library("datasette.app", "web")
    uvicorn: Any = library("uvicorn", "web")
    plugin: Any = library("bloxdb.web.plugin", "web")
    # where Rich is installed Datasette prints 150 kB with all variables for a slip in somebody's SQL
    library("datasette.handle_exception", "web").rich = None
    kept = kept_for(path)
    if kept is None:
        raise NotADatabaseError(f"{path} is not a bloxdb database any more; it was replaced just now")
    kept.open()
    still = is_on_read_only_medium(path)
    files = {"immutables": [str(path)]} if still else {"files": [str(path)]}
    app = datasette.Datasette(**{"files": [], **files}, settings=_SETTINGS)
    listening = _listen(host, port)
    shown = f"[{host}]" if ":" in host else host
    (name,) = (name for name, database in app.databases.items() if database.path)
    url = f"http://{shown}:{listening.getsockname()[1]}{plugin.explorer_of(app, name)}"

    class Server(uvicorn.Server):  # type: ignore[misc]
        should_exit: bool

        async def startup(self, sockets: Any = None) -> None:
            await super().startup(sockets=sockets)
            Thread(target=_warm, args=(kept,), daemon=True).start()
            tell(url)
            if opens_browser and _has_browser():
                webbrowser.open(url)

        def handle_exit(self, sig: int, frame: FrameType | None) -> None:
            if sig in (signal.SIGINT, signal.SIGHUP) and not self.should_exit:
                self.should_exit = True  # of Ctrl-C the way to end it, so that it is no error
            else:
                super().handle_exit(sig, frame)

    guarded = Guard(app.app(), only_here=is_loopback(host), check=kept.check)
    config = uvicorn.Config(guarded, log_level="warning", timeout_graceful_shutdown=2)
    server = Server(config)
    try:
        with _hanging_up(server.handle_exit):
            server.run(sockets=[listening])
    finally:
        listening.close()
        for database in app.databases.values():
            database.close()  # before ours, which leaves the file without a WAL if it is the last
        kept.close()


@contextmanager
def _hanging_up(end: Callable[[int, FrameType | None], None]) -> Iterator[None]:
    """Have a closed terminal end a server, which knows Ctrl-C and SIGTERM; SIGHUP comes again after it."""
    came: list[int] = []

    def hang_up(number: int, frame: FrameType | None) -> None:
        came.append(number)
        end(number, frame)

    before = signal.getsignal(signal.SIGHUP)
    is_main = threading.current_thread() is threading.main_thread()
    if not is_main or before in (None, signal.SIG_IGN):  # no handler of Python's, or under nohup
        yield
        return
    signal.signal(signal.SIGHUP, hang_up)
    try:
        yield
    finally:
        signal.signal(signal.SIGHUP, before)
        if came:
            signal.raise_signal(signal.SIGHUP)


class Guard:
    """Around an ASGI app: pages that load nothing from elsewhere, and no names but this machine's.

    A page of somebody else's cannot read what is served here for this machine alone, not even by a name of
    its own that leads here: https://en.wikipedia.org/wiki/DNS_rebinding.

    Parameters
    ----------
    app
        The app.
    only_here
        Whether only this machine is to reach it.
    check
        What is called before a page of Datasette is asked for; a `BloxError` of it is the answer.
    """

    def __init__(self, app: Any, *, only_here: bool, check: Callable[[], None]) -> None:
        self._app = app
        self._check = check
        self._only_here = only_here

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        host = dict(scope["headers"]).get(b"host", b"").decode("latin-1")
        if self._only_here and not is_loopback(urlsplit(f"//{host}").hostname or ""):
            await _say(send, 421, "this is served for this machine alone")
            return
        if not scope["path"].startswith(
            f"{page.HOME}/"
        ):  # the page loads from there, and says itself what is wrong
            try:
                self._check()
            except BloxError as error:
                await _say(send, 503, str(error))
                return

        async def guarded(message: Any) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", []))
                if not any(name.lower() == b"content-security-policy" for name, _ in headers):
                    headers.append((b"content-security-policy", _POLICY))
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, guarded)


async def _say(send: Any, status: int, words: str) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8")]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": f"{words}\n".encode()})


def _listen(host: str, port: int | None) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    wanted = range(PORT, PORT + _PORTS) if port is None else (port,)
    for number in wanted:
        try:
            return socket.create_server((host, number), family=family)
        except OSError as error:
            if number == wanted[-1]:
                ports = f"port {port}" if port is not None else f"the ports {wanted[0]} to {wanted[-1]}"
                raise QueryError(
                    f"nothing can be served at {host}, {ports}: {error.strerror or error}; "
                    "name others with --host and --port"
                ) from error
    raise AssertionError("a range of ports is never empty")


def _warm(kept: Kept) -> None:
    """Have the first answers ready before they are asked for; what fails says so when it is asked for."""
    with suppress(BloxError, OSError, SQLAlchemyError):
        for name in _FIRST:
            kept.answer(name, "")  # none of them says where the tables are


def _has_browser() -> bool:
    """Whether there is a screen that a browser could open on: a browser in the terminal would take that."""
    return sys.platform == "darwin" or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    )
