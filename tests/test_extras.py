"""What is said where a library of an extra is not there."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from bloxdb.db.dialects import ENGINES
from bloxdb.errors import MissingExtraError
from bloxdb.extras import library, needed

ROOT = Path(__file__).parents[1]
EXTRAS = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
CODE = sorted(path for folder in ("bloxdb", "trainer") for path in (ROOT / folder).rglob("*.py"))


def test_a_library_that_is_not_there_is_told_with_its_extra() -> None:
    with pytest.raises(MissingExtraError) as caught:
        library("no_such_library.of_ours", "plot", "a figure")
    assert str(caught.value) == "a figure needs no_such_library: pip install 'bloxdb[plot]'"
    assert isinstance(caught.value.__cause__, ModuleNotFoundError)
    assert library("json", "plot").dumps(1) == "1"


def test_one_that_cannot_be_imported_says_why() -> None:
    with pytest.raises(MissingExtraError) as caught, needed("postgresql", "PostgreSQL"):
        raise ImportError("no pq wrapper available.\nAttempts made: ...")
    told = "PostgreSQL cannot import what it needs (no pq wrapper available. Attempts made: ...)"
    assert str(caught.value) == f"{told}: pip install 'bloxdb[postgresql]'"
    told = r"this cannot import what it needs \('a plugin'\)"
    with pytest.raises(MissingExtraError, match=told), needed("postgresql", "this", KeyError):
        raise KeyError("a plugin")


def test_what_is_told_already_or_is_no_librarys_is_left_alone() -> None:
    with pytest.raises(MissingExtraError, match="^the inner one"), needed("train"):
        raise MissingExtraError("the inner one")
    with pytest.raises(ModuleNotFoundError, match="bloxdb.nothing") as caught, needed("train"):
        import bloxdb.nothing  # noqa: F401
    assert not isinstance(caught.value, MissingExtraError)
    with pytest.raises(KeyError), needed("train"):
        raise KeyError("a mistake")


def code_of(path: Path) -> tuple[set[str], set[str]]:
    """The extras that a module asks for, and texts in its code that say how to install one."""
    tree, asked = ast.parse(path.read_text()), set()
    said = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        name = ast.unparse(node.func) if isinstance(node, ast.Call) else ""
        if isinstance(node, ast.Call) and name in ("needed", "library"):
            extra = node.args[name == "library"]
            asked |= {extra.value} if isinstance(extra, ast.Constant) else set()
    constants = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and id(node) not in said)
    return asked, {str(node.value) for node in constants if "'bloxdb[" in str(node.value)}


@pytest.mark.parametrize("path", CODE, ids=lambda path: str(path.relative_to(ROOT)))
def test_one_module_says_how_an_extra_is_installed(path: Path) -> None:
    asked, told = code_of(path)
    assert asked <= set(EXTRAS)
    if path.name == "extras.py":
        assert told
    else:
        assert not told
        assert not re.search(r"raise MissingExtraError", path.read_text())


def test_every_extra_of_a_user_is_asked_for() -> None:
    asked = set[str]().union(*(code_of(path)[0] for path in CODE))
    asked |= {
        engines.NEEDS[0] for engines in ENGINES.values() if engines.NEEDS[0]
    }  # the class says what it needs
    assert asked == {"compat", "frames", "plot", "postgresql", "tensorboard", "train", "web"}


WAYS = {
    "pyarrow": ("from bloxdb.parquet import _libraries as ask", "a Parquet file needs pyarrow", "frames"),
    "torch": ("from bloxdb.cli.train import trainer; ask = lambda: trainer('worker')", "training needs torch", "train"),
    "psycopg": (
        "from bloxdb.db import open; ask = lambda: open('postgresql://localhost/nothing')",
        "PostgreSQL needs psycopg",
        "postgresql",
    ),
    "tensorboard": (
        "from pathlib import Path; from bloxdb.trainer.scalars import Scalars; "
        "ask = lambda: Scalars(Path('nowhere'), 'a', 1, 0)",
        "--tensorboard needs tensorboard",
        "tensorboard",
    ),
    "sklearn": ("from bloxdb.trainer.data import load_digits as ask", "the data set of digits needs sklearn", "train"),
}  # fmt: skip


@pytest.mark.parametrize("module", WAYS)
def test_whoever_needs_an_extra_says_so_in_one_way(module: str, tmp_path: Path) -> None:
    code, told, extra = WAYS[module]
    hidden = f"""
import sys
from importlib.abc import MetaPathFinder

class Hidden(MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {module!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)

sys.meta_path.insert(0, Hidden())
from bloxdb.db.dialects import ENGINES
from bloxdb.errors import MissingExtraError
"""
    code = f"{hidden}{code}\ntry:\n    ask()\nexcept MissingExtraError as error:\n    print(error)\n"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=tmp_path)
    assert done.stdout == f"{told}: pip install 'bloxdb[{extra}]'\n", done.stderr
