"""Contradictions: counted, and the first few told."""

from __future__ import annotations

import pytest

from bloxdb.db.conflicts import Conflicts
from bloxdb.errors import ConflictError


@pytest.mark.parametrize(("count", "end"), [(1, "w0"), (5, "w4"), (6, "w4; …"), (700, "w4; …")])
def test_all_are_counted_and_five_are_told(count: int, end: str) -> None:
    conflicts = Conflicts("nothing was done")
    for number in range(count):
        conflicts.add(f"w{number}")
    told = "; ".join(f"w{number}" for number in range(min(count, 5)))
    with pytest.raises(ConflictError) as caught:
        conflicts.check()
    assert str(caught.value) == (
        f"{count} {'values contradict' if count > 1 else 'value contradicts'} the database, nothing was done: {told}{'; …' if count > 5 else ''}"
    )
    assert str(caught.value).endswith(end)


def test_none_is_no_error() -> None:
    conflicts = Conflicts("nothing was done")
    conflicts.check()
    conflicts.add("late")
    with pytest.raises(ConflictError, match="^1 value contradicts"):
        conflicts.check()
