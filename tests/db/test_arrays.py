"""Numbers of many rows: the same floats as the driver gives, one by one."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import Double, Integer, create_engine, func, literal_column, select, text
from sqlalchemy.exc import PendingRollbackError
from sqlalchemy.orm import Session

from bloxdb import Database, Run
from bloxdb.db.arrays import read_numbers
from bloxdb.db.dialects import plainly

KEPT = st.integers(-(10**9), 10**9).map(lambda micro: micro / 1_000_000)
ODD = st.floats(allow_nan=False)
WHOLE = st.integers(-(2**63) + 1, 2**63 - 1)


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """An SQLite file with one table."""
    engine = create_engine(f"sqlite:///{tmp_path_factory.mktemp('arrays') / 'numbers.db'}")
    with Session(engine) as opened:
        opened.execute(text("CREATE TABLE numbers (whole, real REAL, other)"))
        yield opened
    engine.dispose()


def ask(session: Session, rows: list[tuple[Any, Any, Any]]) -> tuple[Any, Any]:
    """What these rows are read as, and what the driver gives of them."""
    session.execute(text("DELETE FROM numbers"))
    for row in rows:
        values = dict(zip("abc", row, strict=True))
        session.execute(text("INSERT INTO numbers VALUES (:a, :b, :c)"), values)
    columns: list[Any] = [
        literal_column("whole", Integer),
        literal_column("real", Double),
        literal_column("other", Double),
    ]
    query = select(*columns).select_from(text("numbers"))
    plain = session.execute(query).all()
    return read_numbers(session, query), np.array([list(row) for row in plain], dtype=np.float64)


@pytest.mark.parametrize("real", [KEPT, ODD, KEPT | ODD | st.none()], ids=["kept", "odd", "any"])
@given(data=st.data())
def test_numbers_are_the_very_floats_that_are_stored(session: Session, real: Any, data: Any) -> None:
    rows = data.draw(st.lists(st.tuples(WHOLE | st.none(), real, real | st.none()), max_size=6))
    found, expected = ask(session, rows)
    assert found.shape == (3, len(rows))
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, expected.reshape(-1, 3).T)


@pytest.mark.parametrize(
    "value", [None, 0.0, 73.14, -0.000001, 1 / 3, 1e300, 5e-324, math.inf, -math.inf, 9.3e12, -9.3e12]
)
def test_a_number_of_any_kind_is_read_beside_others(session: Session, value: float | None) -> None:
    found, expected = ask(session, [(1, 2.5, value), (None, value, 0.25), (3, None, value)])
    np.testing.assert_array_equal(found, expected.T)


def test_a_fraction_in_a_column_of_integers_is_no_integer(session: Session) -> None:
    found, _ = ask(session, [(1.5, 1.0, 1.0), (2, 1.0, 1.0)])
    assert found[0].tolist() == [1.5, 2.0]


def test_a_column_can_be_asked_twice_and_groups_are_rows(session: Session) -> None:
    ask(session, [(1, 2.0, 5.0), (1, 3.0, 5.0), (2, 4.0, 5.0)])
    whole, real = literal_column("whole", Integer), literal_column("real", Double)
    columns: list[Any] = [whole, func.max(real, type_=Double), func.max(real, type_=Double), plainly(whole)]
    found = read_numbers(session, select(*columns).select_from(text("numbers")).group_by(whole))
    assert found.tolist() == [[1, 2], [3, 4], [3, 4], [1, 2]]


def test_no_rows_are_no_numbers(session: Session, tmp_path: Path) -> None:
    assert ask(session, [])[0].shape == (3, 0)


@pytest.mark.parametrize(
    ("rows", "ways"),
    [
        ([(1, 2.5, None), (2, 73.14, 0.25)], ["group_concat"]),  # integers of millionths: in one pass
        ([], ["group_concat"]),
        ([(1, 2.5, None), (2, 1 / 3, 0.25)], ["group_concat", "plain"]),
        ([(1.5, 2.5, 1.0)], ["group_concat", "plain"]),
    ],
)
def test_numbers_come_as_texts_and_one_by_one_only_where_a_text_would_not_hold_them(
    session: Session, rows: list[tuple[Any, Any, Any]], ways: list[str]
) -> None:
    said: list[str] = []
    driver: Any = session.connection().connection.driver_connection
    driver.set_trace_callback(said.append)
    try:
        ask(session, rows)
    finally:
        driver.set_trace_callback(None)
    asked = [statement for statement in said if "AS n0" in statement]
    assert ["group_concat" if "group_concat" in statement else "plain" for statement in asked] == ways


def test_only_a_session_for_reading_takes_another_connection_and_no_snapshot_another_state(
    tiny_db: Database,
) -> None:
    query = select(Run.arch_id).order_by(Run.arch_id)
    expected = read_numbers(tiny_db.reader, query)
    tiny_db.reader.connection().invalidate()
    assert np.array_equal(read_numbers(tiny_db.reader, query), expected)
    with tiny_db.snapshot() as snapshot:
        assert np.array_equal(read_numbers(snapshot, query), expected)
        snapshot.connection().invalidate()
        with pytest.raises(PendingRollbackError):
            read_numbers(snapshot, query)
