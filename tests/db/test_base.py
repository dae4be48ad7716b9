"""Objects of the ORM whose database is gone: what was loaded stays, and the rest says what to do."""

from __future__ import annotations

import copy
import gc
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from sqlalchemy import inspect, select
from sqlalchemy.orm import defer, load_only, selectinload

import bloxdb
from bloxdb import Arch, Database, Run
from bloxdb.db import Base

AWAY: dict[str, Callable[[Database, Any], Any]] = {
    "pickle": lambda _, thing: pickle.loads(pickle.dumps(thing)),
    "cloudpickle": lambda _, thing: pickle.loads(cloudpickle.dumps(thing)),
    "copy": lambda _, thing: copy.copy(thing),
    "deepcopy": lambda _, thing: copy.deepcopy(thing),
    "close": lambda db, thing: (thing, db.close())[0],
}
"""Ways in which an object leaves its database."""

MODELS = [mapper.class_ for mapper in Base.registry.mappers]


def rows(db: Database) -> Iterator[Base]:
    """A row of each table."""
    for model in MODELS:
        yield db.reader.scalars(select(model).limit(1)).one()


def tiny_arch(db: Database) -> Arch:
    return db.reader.scalars(select(Arch).join(Run).order_by(Arch.id).limit(1)).one()


@pytest.mark.parametrize("way", AWAY)
def test_what_was_loaded_stays_and_the_rest_says_what_to_do(way: str, tiny_db: Database) -> None:
    for row in list(rows(tiny_db)):
        name, key = type(row).__name__, inspect(row).identity
        columns = {column.key: getattr(row, column.key) for column in inspect(type(row)).column_attrs}
        there = AWAY[way](tiny_db, row)
        assert {column: getattr(there, column) for column in columns} == columns
        assert repr(there).startswith(f"<{name} ")
        for relationship in inspect(type(row)).relationships:
            with pytest.raises(bloxdb.DatabaseError) as caught:
                getattr(there, relationship.key)
            sentence = str(caught.value)
            assert f"'{relationship.key}' of {name} {key[0] if len(key) == 1 else key}" in sentence
            assert f"Name .{relationship.key} before" in sentence
            assert ("bloxdb.Arch.get(" if name == "Arch" else f"db.reader.get(bloxdb.db.{name}, ") in sentence


@pytest.mark.parametrize("way", AWAY)
def test_relationships_that_were_named_before_come_along(way: str, tiny_db: Database) -> None:
    arch = tiny_arch(tiny_db)
    said = repr(arch)
    epochs = [(epoch.epoch, epoch.val_top1, epoch.val_loss) for epoch in arch.epochs]
    assert arch.runs[0].recipe.epochs == len(epochs) == 10
    assert arch.runs[0].arch is arch
    there = AWAY[way](tiny_db, arch)
    assert repr(there) == said
    assert [(epoch.epoch, epoch.val_top1, epoch.val_loss) for epoch in there.epochs] == epochs
    assert there.runs[0].recipe.dataset == "cifar100"
    assert there.runs[0].arch is there
    with pytest.raises(bloxdb.DatabaseError, match="'env' of Run"):
        there.runs[0].env  # noqa: B018


def test_the_sentence_names_code_that_works(tiny_db: Database) -> None:
    for row in list(rows(tiny_db)):
        there = pickle.loads(pickle.dumps(row))
        for relationship in inspect(type(row)).relationships:
            with pytest.raises(bloxdb.DatabaseError) as caught:
                getattr(there, relationship.key)
            again = str(caught.value).partition("get the object again: ")[2]
            assert eval(again, {"bloxdb": bloxdb, "db": tiny_db}) is row


@pytest.mark.parametrize("way", AWAY)
def test_columns_that_were_not_loaded_say_so_and_the_repr_works(way: str, tiny_db: Database) -> None:
    only_hash = select(Arch).where(Arch.id == 7).options(load_only(Arch.hash))
    without = select(Run).limit(1).options(defer(Run.status), selectinload(Run.recipe))
    found = [tiny_db.reader.scalars(query).one() for query in (only_hash, without)]
    arch, run = (AWAY[way](tiny_db, one) for one in found)
    assert arch.hash == bloxdb.model_hash(7)
    assert repr(arch) == "<Arch 7: not all of it is loaded, and it has no database here>"
    with pytest.raises(bloxdb.DatabaseError, match="'vec_text' of Arch 7"):
        arch.vec  # noqa: B018
    assert run.recipe.epochs == 10
    with pytest.raises(bloxdb.DatabaseError, match="'status' of Run"):
        run.status  # noqa: B018
    assert "no database here" in repr(run)


def test_what_a_transaction_wrote_can_be_read_after_it(empty_db: Database) -> None:
    with empty_db.transaction() as session:
        device = bloxdb.Device(name="a")
        session.add(device)
    assert (device.id, device.name, repr(device)) == (1, "a", "<Device a>")


def test_an_expired_object_without_a_database_is_named(tiny_db: Database) -> None:
    arch = tiny_arch(tiny_db)
    index = arch.id
    tiny_db.reader.expire(arch)
    tiny_db.close()
    assert repr(arch) == f"<Arch {index}: not all of it is loaded, and it has no database here>"
    for name in ("hash", "vec", "flops", "epochs", "blocks"):
        with pytest.raises(bloxdb.DatabaseError, match=f"of Arch {index} was not loaded"):
            getattr(arch, name)


def test_the_end_of_a_thread_is_the_end_of_its_objects_database(tiny_db: Database) -> None:
    found: list[Arch | None] = []
    thread = threading.Thread(target=lambda: found.append(Arch.get(5, tiny_db)))
    thread.start()
    thread.join()
    gc.collect()  # the thread's session
    (arch,) = found
    assert arch is not None
    assert arch.vec == bloxdb.arch_vec(5)
    assert "runs not loaded" in repr(arch)
    with pytest.raises(bloxdb.DatabaseError, match="thread has ended"):
        arch.runs  # noqa: B018


def test_a_copy_has_a_life_of_its_own(tiny_db: Database) -> None:
    twin = copy.copy(tiny_arch(tiny_db))  # nobody else holds the original
    assert repr(twin).startswith(f"<Arch {twin.id} ")
    twin.vec_text = "[]"
    assert tiny_arch(tiny_db).vec_text != "[]"


def test_objects_that_were_never_in_a_database_are_as_ever() -> None:
    assert bloxdb.Run(arch_id=3).epochs == []
    assert repr(bloxdb.Device(name="a")) == "<Device a>"


STOPPED_EARLY = """
import signal, sys
from sqlalchemy import event
from sqlalchemy.orm import Mapper
import bloxdb

made = []

def stop(mapper, kind):
    made.append(kind)
    if len(made) == int(sys.argv[2]):
        signal.raise_signal(signal.SIGINT)

event.listen(Mapper, "mapper_configured", stop)
try:
    bloxdb.open(sys.argv[1])
except KeyboardInterrupt:
    db = bloxdb.open(sys.argv[1])
    print(len(bloxdb.Arch.get(405, db).latencies), bloxdb.Arch.get(405, db).flops)
"""
"""A program that is stopped as SQLAlchemy makes one of its mappers, and asks then."""


@pytest.mark.parametrize("number", [1, len(MODELS) // 2, len(MODELS)])
def test_ctrl_c_while_mappers_are_made_leaves_no_half_of_them(number: int, empty_file: Path) -> None:
    command = [sys.executable, "-c", STOPPED_EARLY, str(empty_file), str(number)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("0 240464996\n", "")
