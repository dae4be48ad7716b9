"""What all classes of the ORM share, also where an object has no database: it was pickled, or that is closed.

What was loaded can be read. For the rest, SQLAlchemy's `DetachedInstanceError` says that an instance is not
bound to a session; here it becomes a sentence that says what to do. Only the way to what is not loaded is
changed, so that reading what is loaded costs what it did.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from functools import cache
from threading import Thread
from typing import Any, Self

from sqlalchemy import MetaData, event
from sqlalchemy.orm import DeclarativeBase, InstanceState, Mapper, RelationshipDirection
from sqlalchemy.orm.base import instance_state
from sqlalchemy.orm.exc import DetachedInstanceError

from bloxdb.errors import DatabaseError


class Base(DeclarativeBase):
    """The registry of all tables."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )

    def __repr__(self) -> str:
        try:
            return f"<{self._told()}>"
        except DatabaseError:
            return f"<{_label(instance_state(self))}: not all of it is loaded, and it has no database here>"

    def __copy__(self) -> Self:
        """A copy without a database; a shallow one would share SQLAlchemy's notes with this object."""
        return copy.deepcopy(self)

    def _told(self) -> str:
        return _label(instance_state(self))


@cache
def make_mappers() -> None:
    """Have SQLAlchemy make the mappers of all classes, once.

    A signal that comes meanwhile would leave some half-made, which no object of the process gets over.
    Handlers of signals run in the main thread only, so another one makes them, and is not stopped with who
    waits for it.
    """
    maker = Thread(target=Base.registry.configure)
    maker.start()
    maker.join()


def known(value: Callable[[], str], otherwise: str) -> str:
    """A text, or another where what it is made of is not loaded."""
    try:
        return value()
    except DatabaseError:
        return otherwise


@event.listens_for(Base, "mapper_configured", propagate=True)
def _explain(mapper: Mapper[Any], _: type[Any]) -> None:
    for attribute in mapper.class_manager.values():
        kind: Any = type(attribute.impl)
        attribute.impl.__class__ = _explaining(kind)


@cache
def _explaining(kind: type[Any]) -> type[Any]:
    """A kind of attribute of SQLAlchemy's, with our error."""

    class Explaining(kind):  # type: ignore[misc]
        __slots__ = ()

        def _fire_loader_callables(self, state: InstanceState[Any], key: str, passive: Any) -> Any:
            try:
                found = super()._fire_loader_callables(state, key, passive)
            except DetachedInstanceError as error:
                raise DatabaseError(_sentence(state, key)) from error
            if found is None and _refers(state, key):
                raise DatabaseError(
                    f"{key!r} of {_label(state)} is not there, though it is referred to; `bloxdb check` says "
                    "where, and `bloxdb check --repair` makes a copy without it"
                )
            return found

    return Explaining


def _refers(state: InstanceState[Any], key: str) -> bool:
    """Whether an attribute is another object, and this one has its key."""
    relation = state.mapper.relationships.get(key)
    if relation is None or relation.direction is not RelationshipDirection.MANYTOONE:
        return False
    names = [state.mapper.get_property_by_column(column).key for column in relation.local_columns]
    return all(state.dict.get(name) is not None for name in names)


def _sentence(state: InstanceState[Any], key: str) -> str:
    name, identity = state.class_.__name__, _identity(state)
    if name == "Arch":
        again = f"bloxdb.Arch.get({identity}, db)"
    else:
        again = f"db.reader.get(bloxdb.db.{name}, {identity})"
    return (
        f"{key!r} of {_label(state)} was not loaded while the object had a database; since then it was "
        f"pickled, or its database, transaction or thread has ended. Name .{key} before that, or get the "
        f"object again: {again}"
    )


def _label(state: InstanceState[Any]) -> str:
    return f"{state.class_.__name__} {_identity(state)}"


def _identity(state: InstanceState[Any]) -> Any:
    """The primary key; None of an object that never was in a database."""
    identity = state.identity
    return identity[0] if identity is not None and len(identity) == 1 else identity
