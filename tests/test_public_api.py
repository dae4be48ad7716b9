"""What the package shows to the outside."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bloxdb
from bloxdb import runs
from bloxdb.runs import RetryReport

ROOT = Path(__file__).parents[1]


def loaded_after(code: str) -> set[str]:
    """Top-level modules that a new interpreter has after running `code`."""
    code += "; import sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def test_every_public_name_is_there_and_documented() -> None:
    for name in bloxdb.__all__:
        found = getattr(bloxdb, name)
        assert not isinstance(found, types.ModuleType)
        assert name == "__version__" or found.__doc__, name
    assert sorted(bloxdb.__all__) == bloxdb.__all__
    assert set(bloxdb.__all__) < set(dir(bloxdb))


@pytest.mark.parametrize("path", ["bloxdb/__init__.py", "trainer/__init__.py"])
def test_type_checkers_see_the_names_where_they_are_at_home(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text())
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    seen = {
        alias.name: node.module.removeprefix("bloxdb.")
        for node in block.body
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }
    package = bloxdb if path.startswith("bloxdb") else bloxdb.trainer
    assert seen == package._HOMES


def functions() -> dict[str, Callable[..., Any]]:
    """What is called with a database: the functions of the face and of `runs`, and `Problem`."""
    found = {name: getattr(package, name) for package in (bloxdb, runs) for name in package.__all__}
    asked = {name: one for name, one in found.items() if inspect.isfunction(one) or one is bloxdb.Problem}
    return {name: one for name, one in asked.items() if "db" in inspect.signature(one).parameters}


FUNCTIONS = functions()


def test_the_functions_that_take_a_database_are_found() -> None:
    assert {"top", "pareto", "merge", "import_release", "Problem", "retry", "gaps", "to_arrow"} <= set(
        FUNCTIONS
    )


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_comes_first_then_the_database_then_options_by_name(name: str) -> None:
    parameters = list(inspect.signature(FUNCTIONS[name]).parameters.values())
    at = [parameter.name for parameter in parameters].index("db")
    assert at <= (2 if name in ("pareto", "gaps") else 1)  # these are about two measures, a recipe and a seed
    assert parameters[at].default is None
    assert {parameter.kind for parameter in parameters[at + 1 :]} <= {inspect.Parameter.KEYWORD_ONLY}


@pytest.mark.parametrize("option", ["seeds", "recipe"])
def test_seeds_and_recipe_mean_the_same_everywhere(option: str) -> None:
    taken = {**FUNCTIONS, "from_folder": bloxdb.from_folder}
    annotations = {
        inspect.signature(one).parameters[option].annotation
        for name, one in taken.items()
        if option in inspect.signature(one).parameters and name != "gaps"  # which is about one recipe
    }
    assert annotations == {"Seeds" if option == "seeds" else "str | None"}


@pytest.mark.parametrize(
    "name",
    ["export_parquet", "export_release", "import_parquet", "import_release", "merge", "upgrade", "retry"],
)
def test_whatever_writes_gives_a_report(name: str) -> None:
    found = getattr(bloxdb, name, None) or getattr(runs, name)
    assert inspect.signature(found).return_annotation.endswith("Report")


@pytest.mark.parametrize(
    "report",
    [
        bloxdb.ExportReport([Path(f"file-{i}") for i in range(500)], ["a note"] * 100),
        bloxdb.ImportReport([Path(f"file-{i}") for i in range(500)], 18_225_000, 1, 91_125),
        bloxdb.MergeReport(91_125, 5, 3, 2, 1, {("cifar100-200", 0): [(i, i) for i in range(0, 999, 2)]}),
        bloxdb.UpgradeReport("0001", "0002", Path("blox.0001.20260101T000000Z.db")),
        RetryReport(91_125),
    ],
)
def test_reports_are_short_to_look_at(report: object) -> None:
    assert type(report).__name__ in repr(report)
    assert len(repr(report)) < 100


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bloxdb.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "code", ["import bloxdb", "import bloxdb; bloxdb.top; bloxdb.codecs.read; bloxdb.import_release"]
)
def test_the_library_loads_no_torch_rich_or_click(code: str) -> None:
    assert not loaded_after(code) & {"torch", "rich", "click", "alembic", "sklearn", "trainer", "matplotlib"}


@pytest.mark.parametrize(
    "code",
    [
        "from bloxdb import draw; draw.arch(7)",
        "from bloxdb import plot; plot.costs",
        "import bloxdb.cli.look",
    ],
)
def test_matplotlib_is_loaded_when_it_is_needed(code: str) -> None:
    found = loaded_after(code)
    assert not found & {"matplotlib", "resvg_py", "PIL", "torch"}
    assert "sqlalchemy" in found or "draw" in code


def test_the_command_line_loads_no_torch() -> None:
    assert not loaded_after("import bloxdb.cli") & {"torch", "sklearn", "trainer"}
