"""Nothing is kept that nothing uses: what only tests ask for is no part of the product."""

from __future__ import annotations

import ast
import importlib
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

import bloxdb

ROOT = Path(__file__).parents[1]
CODE = sorted(path for folder in ("bloxdb", "trainer") for path in (ROOT / folder).rglob("*.py"))
WORD = re.compile(r"[A-Za-z_]\w*")
# of compat, public as the original has them
MODULES = ("graph_utils", "io", "model", "search_space", "utils")


def texts() -> Iterator[Path]:
    """Whatever may use a name: the product, and what is made of it or measured by it, but no test."""
    for folder in ("bloxdb", "trainer", "migrations", "benchmarks", "docs", "examples"):
        for path in (ROOT / folder).rglob("*"):
            if path.suffix in (".py", ".pyi", ".pyx", ".pxd", ".md"):
                yield path
    yield ROOT / "pyproject.toml"


USES = Counter(word for path in texts() for word in WORD.findall(path.read_text()))


def public() -> set[str]:
    packages = (*bloxdb._PACKAGES, *(f"compat.{name}" for name in MODULES))
    modules = [bloxdb, *(importlib.import_module(f"bloxdb.{name}") for name in packages)]
    return {name for module in modules for name in getattr(module, "__all__", vars(module))}


PUBLIC = public()


def made(path: Path) -> set[str]:
    """The functions, classes and constants of a module; who has a decorator is known to somebody by that."""
    found = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.decorator_list:
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return {name for name in found if not name.startswith("__")}


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_whatever_is_made_is_used(path: Path) -> None:
    assert {name for name in made(path) - PUBLIC if USES[name] < 2} == set()
