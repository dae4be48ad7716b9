"""Fixtures that tests of releases share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.release.helpers import RAW, Given, contents


@pytest.fixture
def given(golden: Path) -> Given:
    """Arguments that fit, and the results of two architectures."""
    arguments, results = contents(golden / RAW / "results_0_15.pickle")
    return {**arguments, "epochs": 10, "range": None}, dict(list(results.items())[:2])
