"""Who imports whom: no circles, counting lazy imports and those for type checkers, and kernels as modules."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = {"bloxdb": "bloxdb", "trainer": "bloxdb.trainer", "migrations": "bloxdb._migrations"}


def modules() -> dict[str, Path]:
    """Every module of the installed package, kernels too, by its name."""
    found = {}
    for folder, package in FOLDERS.items():
        for path in (ROOT / folder).rglob("*.py*"):
            if path.suffix in (".py", ".pyx") and "__pycache__" not in path.parts:
                parts = path.relative_to(ROOT / folder).with_suffix("").parts
                found[".".join((package, *(part for part in parts if part != "__init__")))] = path
    return found


def imported(name: str, path: Path, known: dict[str, Path]) -> Iterator[str]:
    """The modules of ours that a module imports, wherever in it."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in known)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = package.rsplit(".", node.level - 1)[0] if node.level > 1 else package
                base = f"{above}.{base}".rstrip(".")
            for alias in node.names:
                if f"{base}.{alias.name}" in known:
                    yield f"{base}.{alias.name}"
                elif base in known:
                    yield base
        elif isinstance(node, ast.Call):  # by its name, as import_module("bloxdb.x") does
            texts = (argument.value for argument in node.args if isinstance(argument, ast.Constant))
            if ast.unparse(node.func).rpartition(".")[2] in ("import_module", "__import__"):
                yield from (text for text in texts if text in known)


@pytest.fixture(scope="module")
def graph() -> dict[str, set[str]]:
    known = modules()
    python = {name: path for name, path in known.items() if path.suffix == ".py"}
    return {name: set(imported(name, path, known)) - {name} for name, path in python.items()}


def test_no_module_imports_itself_by_way_of_others(graph: dict[str, set[str]]) -> None:
    assert len(graph) > 80
    assert graph["bloxdb.codecs.csv"] >= {"bloxdb.codecs._csv", "bloxdb.codecs.table"}
    assert "bloxdb.trainer.model" in graph["bloxdb.trainer.loop"]  # imports that are relative count
    without_face = {name: others for name, others in graph.items() if name != "bloxdb"}  # it names all
    try:
        TopologicalSorter(without_face).prepare()
    except CycleError as error:
        raise AssertionError(" imports ".join(reversed(error.args[1]))) from None


def test_nothing_imports_the_face(graph: dict[str, set[str]]) -> None:
    """The linter takes an import of a kernel for one of the face, so that this is looked at here."""
    assert [name for name, others in graph.items() if "bloxdb" in others] == []


@pytest.mark.parametrize(
    ("module", "absent"),
    [
        ("bloxdb", ["numpy", "sqlalchemy", "torch", "bloxdb.db"]),
        ("bloxdb.trainer", ["torch"]),
        ("bloxdb.cli.app", ["torch", "pandas", "bloxdb.release"]),
        *(
            (f"bloxdb.{name}", ["torch", "bloxdb.codecs", "bloxdb.release"])
            for name in ("queries", "frames", "problem", "merging", "runs", "db")
        ),
        ("bloxdb.codecs", ["torch", "sqlalchemy", "bloxdb.db"]),
        ("bloxdb.space", ["torch", "sqlalchemy", "bloxdb.db", "bloxdb.codecs"]),
    ],
)
def test_a_room_loads_only_what_lies_below_it(module: str, absent: list[str]) -> None:
    code = f"import sys, {module}; print(*(name for name in {absent} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
