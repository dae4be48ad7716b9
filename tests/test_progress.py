"""What long work tells of how far it is."""

from __future__ import annotations

from bloxdb.progress import Meter


def test_parts_add_up_to_the_whole() -> None:
    told: list[tuple[int, int, str]] = []
    meter = Meter(lambda *what: told.append(what), 100)
    meter.begin("one", 40)
    meter.rows(5, 10)
    meter.rows(50, 10)  # more than was said: a part never passes its size
    meter.begin("two", 60)
    meter.rows(1, 3)
    meter.finish()
    assert [(done, total) for done, total, _ in told] == [
        (0, 100),
        (20, 100),
        (40, 100),
        (40, 100),
        (60, 100),
        (100, 100),
    ]
    assert [what.partition(",")[0] for *_, what in told] == ["one"] * 3 + ["two"] * 2 + ["done"]
    assert told[1][2].endswith(" rows/s")


def test_nobody_need_listen() -> None:
    meter = Meter(None, 1)
    meter.begin("x", 1)
    meter.rows(1, 1)
    meter.rows(0, 0)  # an empty part
    meter.finish()
    told: list[int] = []
    Meter(lambda done, total, what: told.append(done), 3).finish()
    assert told == [3]
