"""The schema's revisions, which ship inside the package: which there are, and running them."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, inspect, literal_column, select, text

from bloxdb.db.dialects import engines_of
from bloxdb.errors import DatabaseError, NotADatabaseError, RevisionError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

REVISION = "0005"
"""The schema revision that this code reads and writes; alembic's."""


def shipped_scripts() -> Path:
    """The folder of the migrations, in a checkout as in an installed package."""
    package = import_module("bloxdb._migrations")
    return Path(package.__path__[0])


def current_revision(connection: Connection, name: str = "the database") -> str | None:
    """The revision of a database; None if it has none, so is no bloxdb database.

    Raises
    ------
    RevisionError
        The table that has it is damaged: there are several, none beside our tables, or what is no revision.
    """
    found = stored_revisions(connection)
    if found is None or is_sound(found):
        return None if found is None else found[0]
    advice = engines_of(connection.dialect).REPAIR or (
        f"`bloxdb check --repair --db {name}` makes a copy that has the right one"
    )
    raise RevisionError(f"{name} {damage_of(found)}; {advice}")


def stored_revisions(connection: Connection) -> list[Any] | None:
    """What stands where one revision is due: whatever SQL has put there; None where nothing is ours.

    Parameters
    ----------
    connection
        A connection to a database of any revision, or to another one.
    """
    there = inspect(connection)
    found: list[Any] = []
    if there.has_table("alembic_version"):
        column: Any = literal_column("version_num")
        texts = engines_of(connection.dialect).as_stored(column)
        found = list(connection.scalars(select(texts).select_from(text("alembic_version"))))
    if len(found) == 1 or all(there.has_table(table) for table in _OURS):
        return found
    return None


def is_sound(found: list[Any]) -> bool:
    """Whether there is one revision, of this bloxdb, or as a newer one may have."""
    return len(found) == 1 and isinstance(found[0], str) and bool(_FORM.fullmatch(found[0]))


def damage_of(found: list[Any]) -> str:
    """What is wrong with revisions that are not sound, for after the name of the database."""
    if not found:
        return "has tables of bloxdb, but no schema revision in alembic_version"
    shown = ", ".join(f"{value!r:.40}" for value in found[:_SHOWN])
    if len(found) > 1:
        return f"has {len(found)} schema revisions in alembic_version, where one is due: {shown}"
    return f"has a schema revision in alembic_version that is none: {shown}"


_FORM = re.compile(r"\d{4}", re.ASCII)
_OURS = ("archs", "runs", "epochs")  # tables that each revision has
_SHOWN = 3


def head(scripts: Path | None = None) -> str:
    """The newest revision: this code's, or that of another folder of scripts."""
    if scripts is None:
        return REVISION
    return script_directory(scripts).get_current_head() or ""


def is_known(revision: str, scripts: Path | None = None) -> bool:
    """Whether a revision is one of ours, so an older one if it is not the newest."""
    from alembic.util import CommandError

    try:
        return script_directory(scripts).get_revision(revision) is not None
    except CommandError:
        return False


def check(connection: Connection, name: str, scripts: Path | None = None) -> None:
    """Whether a database can be used as it is.

    Raises
    ------
    NotADatabaseError
        It has no revision.
    RevisionError
        It is older, or a newer bloxdb wrote it.
    DatabaseError
        An earlier bloxdb left it half-made.
    """
    revision = current_revision(connection, name)
    if revision is None:
        raise NotADatabaseError(f"{name} is not a bloxdb database; create one with `bloxdb init --db …`")
    if revision != head(scripts):
        check_known(name, revision, scripts)
        raise RevisionError(
            f"{name} has the older revision {revision}; bring it up to date with "
            f"`bloxdb upgrade --db {name}` (it keeps a copy)"
        )
    said = engines_of(connection.dialect).UNFILLED
    if said and is_unfilled(connection):
        raise DatabaseError(said.format(name=name))


def is_unfilled(connection: Connection) -> bool:
    """Whether a database has its tables, and not one architecture in them.

    Parameters
    ----------
    connection
        A connection to a database.
    """
    archs = text("SELECT EXISTS (SELECT 1 FROM archs)")
    return inspect(connection).has_table("archs") and not connection.scalar(archs)


def check_known(name: str, revision: str, scripts: Path | None = None) -> None:
    """`RevisionError` for a revision that a newer bloxdb made."""
    if not is_known(revision, scripts):
        raise RevisionError(
            f"{name} has revision {revision}, which this bloxdb does not know: a newer bloxdb wrote it; "
            "update with `pip install -U bloxdb`"
        )


def run(connection: Connection, scripts: Path | None = None) -> None:
    """Bring the database to the newest revision, within the transaction that is open."""
    from alembic import command

    config = alembic_config(scripts)
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def script_directory(scripts: Path | None = None) -> ScriptDirectory:
    """What alembic knows of the shipped revisions, or of those in another folder."""
    from alembic.script import ScriptDirectory

    return ScriptDirectory.from_config(alembic_config(scripts))


def alembic_config(scripts: Path | None = None) -> Config:
    """alembic's configuration for the shipped revisions, or for those in another folder."""
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(scripts or shipped_scripts()).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config
