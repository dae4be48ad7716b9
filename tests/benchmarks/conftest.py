"""The scripts in `benchmarks/` import each other by plain names, as they do when one of them is run."""

from __future__ import annotations

import importlib
from pathlib import Path
from types import ModuleType

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the scripts, from which they can be imported."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return BENCHMARKS


@pytest.fixture
def harness(benchmarks: Path) -> ModuleType:
    """The module by which measurements are declared, with all that run.py measures declared."""
    found = importlib.import_module("harness")
    found.load(importlib.import_module("run").MODULES)
    return found
