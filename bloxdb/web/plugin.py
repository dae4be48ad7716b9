"""What Datasette knows of bloxdb: the explorer of each database of ours, links to it, and words for tables.

``datasette blox.db`` has it where bloxdb is installed; nothing has to be set.
"""

from __future__ import annotations

import asyncio
from collections.abc import Generator
from pathlib import Path
from typing import Any

import markupsafe
from datasette import Response, hookimpl
from datasette.utils import tilde_decode, tilde_encode
from sqlalchemy.exc import DBAPIError

from bloxdb.db.damage import damage, of_the_disk
from bloxdb.db.waiting import is_busy
from bloxdb.errors import BloxError
from bloxdb.web import page
from bloxdb.web.answers import is_answered
from bloxdb.web.kept import Kept, kept_for
from bloxdb.web.words import described

_HEADERS = {
    "Content-Security-Policy": f"{page.policy()}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-cache",
}


@hookimpl  # type: ignore[untyped-decorator]
def register_routes() -> list[tuple[str, Any]]:
    """The page of each database, with all that it loads."""
    return [
        (rf"^{page.HOME}/?$", _any),
        (rf"^{page.HOME}/(?P<database>[^/]+)$", _without_slash),
        (rf"^{page.HOME}/(?P<database>[^/]+)/(?P<path>.*)$", _answered),
    ]


@hookimpl  # type: ignore[untyped-decorator]
def menu_links(datasette: Any) -> list[dict[str, str]]:
    """A link to each explorer in the menu of every page."""
    names = _ours(datasette)
    return [
        {
            "href": explorer_of(datasette, name),
            "label": "Explore" if len(names) == 1 else f"Explore {name}",
        }
        for name in names
    ]


@hookimpl  # type: ignore[untyped-decorator]
def database_actions(datasette: Any, database: str) -> list[dict[str, str]]:
    """A link to the explorer of a database where its tables are listed."""
    if database not in _ours(datasette):
        return []
    return [{"href": explorer_of(datasette, database), "label": "Explore architectures"}]


@hookimpl  # type: ignore[untyped-decorator]
def render_cell(value: Any, column: str, database: str, datasette: Any) -> markupsafe.Markup | None:
    """What names an architecture in a table leads to its page."""
    is_key = (column == "arch_id" and isinstance(value, int)) or (column == "hash" and isinstance(value, str))
    if not is_key or database not in _ours(datasette):
        return None
    href = f"{explorer_of(datasette, database)}#/arch/{value}"
    return markupsafe.Markup('<a href="{}">{}</a>').format(href, value)  # both are escaped


@hookimpl  # type: ignore[untyped-decorator]
def get_metadata(datasette: Any) -> dict[str, Any]:
    """Descriptions of tables and columns; what somebody's own metadata say goes before."""
    return {"databases": {name: {"tables": described()} for name in _ours(datasette)}}


@hookimpl(wrapper=True)  # type: ignore[untyped-decorator]
def handle_exception(datasette: Any, request: Any, exception: BaseException) -> Generator[None, Any, Any]:
    """A sentence in place of a page of Datasette's, and a traceback on stderr, where the file is at fault."""
    answers = yield
    name = tilde_decode((request.url_vars or {}).get("database", ""))
    path = Path(datasette.databases[name].path) if name in _ours(datasette) else None
    said = damage(exception, path) or of_the_disk(exception, path)
    if said is None and path is not None and is_busy(exception):
        said = f"{path} is locked by somebody who writes there; try again"
    return answers if said is None else [Response.text(said, status=503, headers=_HEADERS)]


def explorer_of(datasette: Any, database: str) -> str:
    """The path of the explorer of a database.

    Parameters
    ----------
    datasette
        The instance of Datasette.
    database
        Its name there.
    """
    return str(datasette.urls.path(f"{page.HOME}/{tilde_encode(database)}/"))


def _ours(datasette: Any) -> list[str]:
    """The databases that are ours, by name."""
    found = getattr(datasette, "databases", {})
    return [name for name, database in found.items() if database.path and kept_for(database.path) is not None]


async def _any(datasette: Any) -> Any:
    for name in _ours(datasette):
        return Response.redirect(explorer_of(datasette, name))
    return _nothing("no database here is one of bloxdb's")


async def _without_slash(datasette: Any, request: Any) -> Any:
    name = tilde_decode(request.url_vars["database"])
    if name not in _ours(datasette):
        return _nothing(f"there is no database of bloxdb's called {name}")
    return Response.redirect(explorer_of(datasette, name))


async def _answered(datasette: Any, request: Any) -> Any:
    name, path = tilde_decode(request.url_vars["database"]), request.url_vars["path"] or page.INDEX
    if name not in _ours(datasette):
        return _nothing(f"there is no database of bloxdb's called {name}")
    await datasette.ensure_permissions(request.actor, [("view-database", name), "view-instance"])
    if request.method not in ("GET", "HEAD"):
        return Response.text("this page is only read", status=405, headers=_HEADERS)
    if path in page.files():
        body, kind = page.read(path)
        return Response(body, headers=_HEADERS, content_type=kind)
    kept = kept_for(datasette.databases[name].path)
    asked = path.removeprefix("data/")
    if kept is None or asked == path or not is_answered(asked):
        return _nothing(f"the explorer has no {path}")
    return await _data(kept, asked, datasette.urls.database(name), request)


async def _data(kept: Kept, name: str, tables: str, request: Any) -> Any:
    tag = kept.tag()
    headers = {**_HEADERS, "ETag": tag}
    try:
        kept.check()
        if request.headers.get("if-none-match") == tag and kept.lasts(name):
            return Response("", status=304, headers=headers)
        answer = await asyncio.to_thread(kept.answer, name, tables)
    except BloxError as error:
        return Response.text(str(error), status=503, headers=_HEADERS)
    except DBAPIError as error:  # such as a lock that somebody keeps
        return Response.text(f"the database: {error.orig}", status=503, headers=_HEADERS)
    return Response(answer.body, headers=headers, content_type=answer.kind)


def _nothing(words: str) -> Any:
    """A plain 404: Datasette's leads whatever ends with a slash to the same without one, which leads back."""
    return Response.text(words, status=404, headers=_HEADERS)
