"""The schema's revisions, which ship inside the package: which there are, and running them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sqlalchemy import Connection, inspect, text

from bloxdb.errors import NotADatabaseError, RevisionError

if TYPE_CHECKING:
    from alembic.config import Config
    from alembic.script import ScriptDirectory

REVISION = "0005"
"""The schema revision that this code reads and writes; alembic's."""


def shipped_scripts() -> Path:
    """The folder of the migrations, in a checkout as in an installed package."""
    package = import_module("bloxdb._migrations")
    return Path(package.__path__[0])


def current_revision(connection: Connection) -> str | None:
    """The revision of a database; None if it has none, so is no bloxdb database."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    found: str | None = connection.scalar(text("SELECT version_num FROM alembic_version"))
    return found


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


def check(name: str, revision: str | None, scripts: Path | None = None) -> None:
    """Whether a database can be used as it is.

    Raises
    ------
    NotADatabaseError
        It has no revision.
    RevisionError
        It is older, or a newer bloxdb wrote it.
    """
    if revision is None:
        raise NotADatabaseError(f"{name} is not a bloxdb database; create one with `bloxdb init --db …`")
    if revision != head(scripts):
        check_known(name, revision, scripts)
        raise RevisionError(
            f"{name} has the older revision {revision}; bring it up to date with "
            f"`bloxdb upgrade --db {name}` (it keeps a copy)"
        )


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
