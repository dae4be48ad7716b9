"""Whether a database is whole: its file, what its rows refer to, and what they have of each other."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import JSON, Boolean, ColumnElement, Table, and_, cast, func, inspect, or_, select
from sqlalchemy.exc import DBAPIError, SAWarning
from sqlalchemy.types import Double

from bloxdb.care.checkpoints import checkpoints_folder, of_ended_runs
from bloxdb.care.wrong_runs import lacking_needed, wrong_best, wrong_counts
from bloxdb.counts import Report, agreed, counted, word_for
from bloxdb.db.access import pages_of
from bloxdb.db.base import Base
from bloxdb.db.connection import locate, path_of
from bloxdb.db.creation import static_rows
from bloxdb.db.damage import is_damage, without_advice
from bloxdb.db.database import Database, open
from bloxdb.db.passwords import hidden
from bloxdb.db.revisions import damage_of, is_sound, stored_revisions
from bloxdb.db.schema import Device, Env, Epoch, Recipe, Run, StaticInfo
from bloxdb.db.sqlite import json_of
from bloxdb.db.statuses import STATUSES
from bloxdb.db.values import Bounds, bounds_of
from bloxdb.device_names import is_device_name
from bloxdb.errors import DatabaseError, DatabaseNotFoundError, NotADatabaseError, RevisionError
from bloxdb.measures import COSTS
from bloxdb.progress import Progress
from bloxdb.writing import left_in

DAMAGE, SCHEMA, SPACE = "damage", "schema", "space"
REFERENCE, EPOCHS, COPY, VALUE, LEFT = "reference", "epochs", "copy", "value", "left"

Kept = ColumnElement[bool]


@dataclass(frozen=True)
class Finding:
    """Something that is wrong.

    Attributes
    ----------
    kind
        ``'damage'`` of the file; ``'schema'``: a table, an index or a view is not there; ``'space'``: what
        the search space determines is otherwise; ``'reference'`` to a row that is not there; ``'epochs'``: a
        run has too few, or too many; ``'copy'``: something is not what it was copied from; ``'value'``: there
        is no such value; ``'left'`` beside the file by a process that was killed, as checkpoints of runs that
        have ended.
    message
        A sentence.
    """

    kind: str
    message: str

    def __str__(self) -> str:
        return self.message


@dataclass(frozen=True, repr=False)
class CheckReport(Report):
    """What `check` found.

    Attributes
    ----------
    database
        The path, or the URL with stars for its passwords.
    findings
        What is wrong; nothing is, if there are none.
    """

    database: str
    findings: list[Finding] = field(default_factory=list)

    def __str__(self) -> str:
        if not self.findings:
            return f"{self.database} is whole"
        return f"{self.database}: {counted(len(self.findings), 'finding')}"


def check(
    database: Database | str | os.PathLike[str] | None = None, *, progress: Progress | None = None
) -> CheckReport:
    """Look whether a database is whole; nothing is changed.

    Parameters
    ----------
    database
        An open database, a file or an SQLAlchemy URL; None means the database that `bloxdb.open` takes then.
    progress
        Called with checks that are done, all checks, and which is going on.

    Returns
    -------
    CheckReport
        What is wrong.

    Raises
    ------
    DatabaseNotFoundError, NotADatabaseError
        There is none, or something else.
    RevisionError
        It is older or newer than this bloxdb.
    """
    if isinstance(database, Database):
        database.reader.get_bind()  # an error if it is closed
        return CheckReport(database.name, list(_findings(database, progress)))
    try:
        db = open(database, read_only=True, current=False)
    except RevisionError:
        with Database(locate(database), read_only=True) as db:
            with db.autocommit() as connection:
                found = stored_revisions(connection)
            if found is None or is_sound(found):
                raise
            return CheckReport(db.name, list(_findings(db, progress)))
    except (DatabaseNotFoundError, NotADatabaseError):
        raise
    except DatabaseError as error:
        if not is_damage(error):
            raise
        url = locate(database)
        path = path_of(url)
        name = str(path or hidden(url))
        pages = None if path is None else pages_of(path)
        told = f"the file cannot be read at all: {without_advice(error)}"
        if pages is not None and pages.is_cut_off:
            told = f"the file was cut off: {pages}; `bloxdb check --repair` saves what can be read"
        return CheckReport(name, [Finding(DAMAGE, told)])
    with db:
        return CheckReport(db.name, list(_findings(db, progress)))


def _findings(db: Database, progress: Progress | None) -> Iterator[Finding]:
    for done, (what, look) in enumerate(CHECKS.items()):
        if progress is not None:
            progress(done, len(CHECKS), what)
        try:
            yield from look(db)
        except (DBAPIError, DatabaseError) as error:
            yield Finding(DAMAGE, f"{what} cannot be checked: {without_advice(error)}")
    if progress is not None:
        progress(len(CHECKS), len(CHECKS), "done")


def _of_file(db: Database) -> Iterator[Finding]:
    """What the engine itself finds, one sentence a line of its."""
    pages = None if db.path is None else pages_of(db.path)
    if pages is not None and pages.is_cut_off:  # within the last page, where SQLite reads zeros
        yield Finding(DAMAGE, f"the file was cut off: {pages}")
    if db.engines.INTEGRITY:
        for (said,) in db.ask(db.engines.INTEGRITY).rows:
            if said != "ok":
                yield Finding(DAMAGE, f"the file is damaged: {said}")


def _of_schema(db: Database) -> Iterator[Finding]:
    with db.autocommit() as connection:
        found = stored_revisions(connection)
    if found is not None and not is_sound(found):
        yield Finding(SCHEMA, f"the database {damage_of(found)}")
    with warnings.catch_warnings():  # of what a user has added, as an index on an expression
        warnings.simplefilter("ignore", SAWarning)
        found = list(_lacking(db))
    yield from found


def _lacking(db: Database) -> Iterator[Finding]:
    there = inspect(db.engine)
    for table in Base.metadata.sorted_tables:
        if not there.has_table(table.name):
            yield Finding(SCHEMA, f"there is no table {table.name}")
            continue
        columns = {column["name"] for column in there.get_columns(table.name)}
        for name in (column.name for column in table.columns if column.name not in columns):
            yield Finding(SCHEMA, f"the table {table.name} has no column {name}")
        indices = {index["name"] for index in there.get_indexes(table.name)}
        for name in sorted(str(index.name) for index in table.indexes if index.name not in indices):
            yield Finding(SCHEMA, f"the table {table.name} has no index {name}, so that queries take long")
    if "leaderboard" not in there.get_view_names():
        yield Finding(SCHEMA, "there is no view leaderboard")


def wrong_rows(db: Database, *, of_epochs: bool = False) -> Iterator[Finding]:
    """References and values that there cannot be, for who takes rows over.

    Parameters
    ----------
    db
        The database that gives them.
    of_epochs
        Whether to look at epochs as well, of which there are many.

    Yields
    ------
    Finding
        A sentence each.
    """
    tables = [table for table in Base.metadata.sorted_tables if of_epochs or table is not Epoch.__table__]
    yield from _of_references(db, tables)
    yield from _of_values(db, tables)


def _of_references(db: Database, tables: Sequence[Table] = ()) -> Iterator[Finding]:
    for table in tables or Base.metadata.sorted_tables:
        for key in table.foreign_keys:
            parent = key.column.table.alias()
            at = parent.c[key.column.name]
            query = select(key.parent).outerjoin(parent, at == key.parent)
            broken = query.where(key.parent.is_not(None), at.is_(None))
            count, first = _counted(db, broken.subquery(), key.parent.name)
            if count:
                refer = f"[refers to a row|refer to rows] of {key.column.table.name} that [is|are] not there"
                told = agreed(count, f"[row|rows] of {table.name} {refer}[: |, the first to ]")
                yield Finding(REFERENCE, f"{told}{first}")


def _counted(db: Database, rows: Any, name: str) -> tuple[int, Any]:
    """How many rows there are, and the lowest of a column."""
    count, first = db.reader.execute(select(func.count(), func.min(rows.c[name])).select_from(rows)).one()
    return int(count), first


def _of_space(db: Database) -> Iterator[Finding]:
    """What the search space alone determines, against it: hashes, vectors, blocks and costs."""
    for model, (names, rows) in static_rows().items():
        table: Any = model.__table__
        key = names[0]
        found_rows = db.ask(f"SELECT {', '.join(names)} FROM {table.name} ORDER BY {key}").rows  # noqa: S608
        if found_rows == rows:
            continue
        there, wanted = ({row[0]: row for row in part} for part in (found_rows, rows))
        for what, found in (
            ("lacks", [at for at in wanted if at not in there]),
            ("has beside those of the search space", [at for at in there if at not in wanted]),
        ):
            if found:
                rows_of = agreed(len(found), f"[row, of|rows, the first of] {key} {min(found)}")
                yield Finding(SPACE, f"{table.name} {what} {rows_of}")
        wrong = [at for at, row in wanted.items() if at in there and tuple(there[at]) != row]
        if wrong:
            triples = zip(names, there[wrong[0]], wanted[wrong[0]], strict=True)
            name, is_now, due = next(found for found in triples if found[1] != found[2])
            yield Finding(
                SPACE,
                agreed(len(wrong), f"[row|rows] of {table.name} [differs|differ] from the search space, ")
                + word_for(len(wrong), "of", "the first of")
                + f" {key} {wrong[0]}, whose {name} is {is_now!r} and not {due!r}",
            )


def _of_costs(db: Database) -> Iterator[Finding]:
    for name in COSTS:
        copy, original = getattr(Run, name), getattr(StaticInfo, name)
        query = select(Run.id, Run.arch_id, copy, original).join(
            StaticInfo, StaticInfo.arch_id == Run.arch_id
        )
        said = f"other {name} than [its architecture|their architectures]"
        yield from _of_runs(db, query.where(copy.is_distinct_from(original)), COPY, said)


def _of_epochs(db: Database) -> Iterator[Finding]:
    for said, query in wrong_counts().items():
        yield from _of_runs(db, query, EPOCHS, said)


def _of_best(db: Database) -> Iterator[Finding]:
    for said, query in wrong_best().items():
        yield from _of_runs(db, query, COPY, said)


def _of_needed(db: Database) -> Iterator[Finding]:
    for said, query in lacking_needed().items():
        yield from _of_runs(db, query, VALUE, said)


def _of_values(db: Database, tables: Sequence[Table] = ()) -> Iterator[Finding]:
    """Values that there cannot be, and, where a column holds anything, of another kind than it has."""
    for table in tables or Base.metadata.sorted_tables:
        asked: dict[str, Kept] = {}
        for column in table.columns:
            if column.computed is not None:
                continue
            other, bounds = db.engines.other_kind(column), bounds_of(column)
            if isinstance(column.type, Boolean) and not other:
                bounds = None  # a server has true and false, which are no numbers
            if other:
                asked[f"a {column.name} that is no {other[0]}"] = other[1]
            if bounds:
                beyond = or_(*_beyond(column, bounds))
                asked[f"a {column.name} that there cannot be"] = and_(beyond, ~other[1]) if other else beyond
        if table is Run.__table__:
            asked["a status that there is not"] = Run.status.not_in(STATUSES)
        counts = db.reader.execute(select(*(func.count().filter(one) for one in asked.values()))).one()
        for (said, wrong), count in zip(asked.items(), counts, strict=True):
            if count:
                keys = list(table.primary_key)
                first = select(*keys).where(wrong).order_by(*keys).limit(1)
                yield _of_rows(count, table.name, said, keys, db.reader.execute(first).one())
    yield from _of_needed(db)
    yield from _of_devices(db)
    for model in (Env, Recipe, Device, Run):
        yield from _of_texts(db, model.__table__)


def _beyond(column: Any, bounds: Bounds) -> Iterator[Kept]:
    yield column < bounds.low
    yield (cast(column, Double) if isinstance(bounds.high, float) else column) > bounds.high


def _of_texts(db: Database, table: Any) -> Iterator[Finding]:
    """Texts that are not UTF-8, which no query can read, and what is JSON for SQLite only."""
    for column in table.columns:
        query = db.engines.stored_texts(column)
        if query is None:
            continue
        found = list(db.reader.execute(query.add_columns(*table.primary_key)))
        for said, is_wrong in (
            (f"a {column.name} that is not UTF-8", lambda text: not _is_utf_8(text)),
            (f"a {column.name} that is no JSON object", _is_no_object),
        ):
            if is_wrong is _is_no_object and not isinstance(column.type, JSON):
                continue
            rows = sorted((row[1:] for row in found if is_wrong(row[0])), key=repr)
            if rows:
                yield _of_rows(len(rows), table.name, said, list(table.primary_key), rows[0])


def _of_devices(db: Database) -> Iterator[Finding]:
    """Devices that no file can be named after, so that nothing could be exported."""
    table: Any = Device.__table__
    name, key = table.c.name, table.c.id
    texts = db.engines.stored_texts(name)
    query = select(name) if texts is None else texts
    wrong = []
    for stored, number in db.reader.execute(query.add_columns(key).order_by(key)):
        is_text = isinstance(stored, str) or _is_utf_8(stored)
        if is_text and not is_device_name(stored if isinstance(stored, str) else stored.decode()):
            wrong.append(number)
    if wrong:
        yield _of_rows(len(wrong), "devices", "a name that no file can be named after", [key], wrong[:1])


def _is_no_object(text: bytes) -> bool:
    """Whether a text that SQLite takes for JSON cannot be used."""
    try:
        return not isinstance(json_of(text.decode()), dict)
    except UnicodeDecodeError:  # it is told as such
        return False
    except (ValueError, RecursionError):
        return True


def _is_utf_8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _of_leftovers(db: Database) -> Iterator[Finding]:
    if db.path is None:
        return
    for place, is_ours in left_in(db.path.resolve().parent):
        told = "a killed process; `bloxdb check --repair` removes it, or the next import or export there"
        if not is_ours:
            told = "a process of another machine, or container; remove it if nothing works here any more"
        yield Finding(LEFT, f"{place} was left by {told}")
    folder = checkpoints_folder(db)
    sizes = [size for _, size in of_ended_runs(folder, db.reader)]
    if sizes:
        lie = agreed(len(sizes), "[checkpoint of an ended run lies|checkpoints of ended runs lie]")
        take = f"{word_for(len(sizes), 'takes', 'take')} {sum(sizes) / 1e6:,.1f} MB"
        told = "`bloxdb check --repair`, or the next `bloxdb train`, removes what nobody needs any more"
        yield Finding(LEFT, f"{lie} in {folder} and {take}; {told}")


def _of_runs(db: Database, query: Any, kind: str, said: str) -> Iterator[Finding]:
    rows = query.subquery()
    count, first = _counted(db, rows, "arch_id")
    if count:
        told = f"[run has|runs have] {said}; [it|the first] is of architecture {first}"
        yield Finding(kind, agreed(count, told))


def _of_rows(count: int, table: str, said: str, keys: Sequence[Any], first: Sequence[Any]) -> Finding:
    at = ", ".join(f"{key.name} {value!r}" for key, value in zip(keys, first, strict=True))
    where = f"; {word_for(count, 'it', 'the first')} is {at}"
    return Finding(VALUE, agreed(count, f"[row|rows] of {table} [has|have] {said}") + where)


CHECKS: dict[str, Callable[[Database], Iterator[Finding]]] = {
    "the file": _of_file,
    "the schema": _of_schema,
    "references": _of_references,
    "the search space": _of_space,
    "copies of costs": _of_costs,
    "numbers of epochs": _of_epochs,
    "best epochs": _of_best,
    "values": _of_values,
    "leftovers": _of_leftovers,
}
"""What is looked at, in this order."""
