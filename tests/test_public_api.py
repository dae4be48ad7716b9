"""What the package shows to the outside."""

from __future__ import annotations

import ast
import dataclasses
import inspect
import re
import subprocess
import sys
import types
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import bloxdb
from bloxdb import runs
from bloxdb.counts import Counts, Report
from bloxdb.db.base import Base

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


LAZY = [
    ".".join(["bloxdb", *path.relative_to(ROOT).parts[path.is_relative_to(ROOT / "bloxdb") : -1]])
    for folder in ("bloxdb", "trainer")
    for path in sorted((ROOT / folder).rglob("__init__.py"))
    if "def __getattr__" in path.read_text()
]
"""The packages that import names when they are first used."""


def test_the_packages_with_a_lazy_face_are_found() -> None:
    assert LAZY == ["bloxdb", "bloxdb.dataset", "bloxdb.trainer"]


@pytest.mark.slow
@pytest.mark.parametrize("package", LAZY)
def test_a_package_lists_its_names_before_they_are_used_and_after(package: str) -> None:
    code = f"""
import importlib, sys
found = importlib.import_module({package!r})
before = dir(found)
assert set(before) >= {{*found.__all__, *getattr(found, "_PACKAGES", ())}}, before
assert "torch" not in sys.modules
for name in found.__all__:
    getattr(found, name)
assert dir(found) == before
"""
    subprocess.run([sys.executable, "-c", code], check=True)


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


def callables() -> dict[str, Callable[..., Any]]:
    """What is public and called: functions, what makes an object, and methods, by their addresses.

    The fields of a value (dataclass), of a row (a model of SQLAlchemy) and of an error are no options.
    """
    found: dict[str, Callable[..., Any]] = {}
    for package in (bloxdb, *(getattr(bloxdb, name) for name in bloxdb._PACKAGES)):
        place = package.__name__.removeprefix("bloxdb").removeprefix(".")
        for name in getattr(package, "__all__", ()):
            one = getattr(package, name)
            address = f"{place}.{name}".removeprefix(".")
            if inspect.isfunction(one):
                found[address] = one
            elif inspect.isclass(one) and not issubclass(one, BaseException):
                found |= of_class(address, one)
    return found


def of_class(address: str, one: type) -> dict[str, Callable[..., Any]]:
    """What is written in a class of ours: its `__init__`, and its public methods."""
    is_value = dataclasses.is_dataclass(one) or issubclass(one, Base) or getattr(one, "_is_protocol", False)
    found = {}
    for name, method in vars(one).items():
        method = method.__func__ if isinstance(method, classmethod | staticmethod) else method
        if inspect.isfunction(method) and not (name.startswith("_") and (name != "__init__" or is_value)):
            found[address if name == "__init__" else f"{address}.{name}"] = method
    return found


CALLABLES = callables()

_ORIGINAL = "called as the original package's, so that programs written for it go on to work"
OTHERWISE = {
    r"compat\..*": _ORIGINAL,
    r"(dataset\.)?(Dataset|Runs)\.(?!table|curve).*": _ORIGINAL,
    r"(bloxdb\.)?(dataset\.)?Dataset\.table": "it is of architectures and of columns, both of which may be all",
    r"dataset\.(DatabaseSource|FolderSource|Source)\.has": "it is of an architecture and a seed, or any",
    r"Problem\.cost": "it is of an architecture and an epoch, as calling a problem is",
    r"(pareto|plot\.costs|plot\.agreement)": "about two measures",
    r"plot\.curves": "about architectures and a measure",
    r"runs\.gaps": "about a recipe and a seed",
    r"space\.(crossover|mutate|sample)": "chance is handed on with each move of a search, as in SciPy",
    r"trainer\.Network": "the classes are the network's other end, as in the original's `get_model`",
    r"trainer\.default_recipe": "a recipe is named after its data set and its epochs",
    r"trainer\.load_network": "the file of a run is told by the run and the folder together",
}
"""Whatever is otherwise, and why."""


def otherwise(address: str) -> bool:
    return any(re.fullmatch(rule, address) for rule in OTHERWISE)


def breaks_the_rule(function: Callable[..., Any]) -> list[str]:
    """What comes first is one thing; then the database, which need not be given; options by name."""
    parameters = [
        one for one in inspect.signature(function).parameters.values() if one.name not in ("self", "cls")
    ]
    plain = [one for one in parameters if one.kind in (one.POSITIONAL_ONLY, one.POSITIONAL_OR_KEYWORD)]
    names = [one.name for one in plain]
    if "db" in names and plain[0].name != "db":  # what comes first is before it
        at = names.index("db")
        late = plain[at + 1 :]
        broken = [one.name for one in plain[1:at]] + [one.name for one in late]
        return broken + ["db"] * (plain[at].default is not None)
    return [one.name for one in plain[1:] if one.default is not one.empty]


def test_the_functions_that_take_a_database_are_found() -> None:
    taking = {name for name, one in CALLABLES.items() if "db" in inspect.signature(one).parameters}
    assert taking >= {
        *("top", "pareto", "merge", "import_release", "Problem", "to_arrow", "Arch.get"),
        *("runs.retry", "runs.gaps", "runs.RunQueue", "plot.curves", "dataset.DatabaseSource"),
    }
    assert {"runs.RunQueue.claim", "trainer.Training", "codecs.decode", "draw.arch"} <= set(CALLABLES)


@pytest.mark.parametrize("name", [name for name in CALLABLES if not otherwise(name)])
def test_what_comes_first_then_the_database_then_options_by_name(name: str) -> None:
    assert breaks_the_rule(CALLABLES[name]) == []


@pytest.mark.parametrize("rule", OTHERWISE)
def test_what_is_said_to_be_otherwise_is(rule: str) -> None:
    there = [name for name in CALLABLES if re.fullmatch(rule, name)]
    assert any(breaks_the_rule(CALLABLES[name]) for name in there), f"{rule} leaves nothing out"


def test_whatever_takes_a_database_or_nothing_takes_the_current_one() -> None:
    needed = {
        name
        for name, one in CALLABLES.items()
        if "db" in inspect.signature(one).parameters
        and inspect.signature(one).parameters["db"].default is not None
    }
    # they keep the database that they were given
    assert needed == {"dataset.DatabaseSource", "runs.RunQueue", "runs.RunRecord"}


@pytest.mark.parametrize("option", ["ax", "progress", "path_or_url", "recipe", "seeds", "db"])
def test_a_name_means_the_same_everywhere(option: str) -> None:
    # one recipe of which there are gaps; a row, or what is to be trained, of which the name is not all
    others = {
        "recipe": {
            *("runs.gaps", "runs.RunQueue", "trainer.Training"),
            *("db.RecipeFacts.of", "runs.RecipeFacts.of"),
        },
        "db": {"dataset.DatabaseSource", "runs.RunQueue", "runs.RunRecord"},
    }
    annotations = {
        inspect.signature(one).parameters[option].annotation
        for name, one in CALLABLES.items()
        if option in inspect.signature(one).parameters and name not in others.get(option, set())
    }
    assert len(annotations) == 1, annotations
    expected = {"seeds": "Seeds", "recipe": "str | None", "db": "Database | None"}
    assert annotations <= {expected.get(option, *annotations)}


@pytest.mark.parametrize(
    "name",
    ["export_parquet", "export_release", "import_parquet", "import_release", "merge", "upgrade", "retry"],
)
def test_whatever_writes_gives_a_report(name: str) -> None:
    found = getattr(bloxdb, name, None) or getattr(runs, name)
    assert inspect.signature(found).return_annotation.endswith("Report")


RELEASE = Counts(91_125, 273_375, 54_675_000, 546_750)
REPORTS = [
    bloxdb.BackupReport(Path("copy.db"), 17_000_000),
    bloxdb.CheckReport("blox.db"),
    bloxdb.ExportReport([Path(f"file-{i}") for i in range(500)], ["a note"] * 100, RELEASE),
    bloxdb.ImportReport([Path(f"file-{i}") for i in range(500)], 18_225_000, 1, 91_125, ["a note"], RELEASE),
    bloxdb.MergeReport(91_125, 5, 3, 2, 1, {("cifar100-200", 0): [(i, i) for i in range(0, 999, 2)]}),
    bloxdb.RepairReport(Path("blox.repaired.db"), lost=["a sentence"] * 500),
    bloxdb.UpgradeReport("0001", "0002", Path("blox.0001.20260101T000000Z.db")),
    runs.FillReport(91_125),
    runs.RetryReport(91_125),
]


def test_no_report_is_forgotten() -> None:
    public = {name for package in (bloxdb, runs, bloxdb.db) for name in package.__all__}
    assert {type(report).__name__ for report in REPORTS} == {
        name for name in public if name.endswith("Report")
    }


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: type(report).__name__)
def test_reports_are_shown_in_one_way(report: Report) -> None:
    notes = len(getattr(report, "notes", ()))
    told = f"; {notes} note{'s' * (notes != 1)}" if notes else ""
    assert repr(report) == f"<{type(report).__name__}: {report}{told}>"
    assert str(report) != object.__repr__(report)
    assert len(repr(report)) < 200


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = bloxdb.nothing  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "code", ["import bloxdb", "import bloxdb; bloxdb.top; bloxdb.codecs.read; bloxdb.import_release"]
)
def test_the_library_loads_no_torch_rich_or_click(code: str) -> None:
    assert not loaded_after(code) & {"torch", "rich", "click", "alembic", "sklearn", "trainer", "matplotlib"}


@pytest.mark.slow
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
