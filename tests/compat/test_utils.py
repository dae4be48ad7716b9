"""Nested lists: flat, counted, and in the structure of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb.compat import utils

NESTED = st.recursive(st.integers(), lambda inner: st.lists(inner, max_size=4), max_leaves=30)


@given(NESTED)
def test_flat_values_in_the_structure_that_they_came_from_are_as_before(nested: object) -> None:
    flat = utils.flatten(nested)
    assert len(flat) == utils.count(nested)
    assert utils.copy_structure(flat, nested) == nested
    assert utils.copy_structure(nested, flat) == flat


def test_values_that_are_too_few_or_too_many_are_refused() -> None:
    for values in ([1], [1, 2, 3]):
        with pytest.raises(ValueError, match="2 places"):
            utils.copy_structure(values, [[0], [0]])
