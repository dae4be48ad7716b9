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
    assert asked == {"compat", "frames", "plot", "postgresql", "ray", "tensorboard", "train", "web"}


WAYS = {
    "pyarrow": ("from bloxdb.arrow_reading import libraries as ask", "a Parquet file needs pyarrow", "frames"),
    "psycopg": (
        "from bloxdb.db import open; ask = lambda: open('postgresql://localhost/nothing')",
        "PostgreSQL needs psycopg",
        "postgresql",
    ),
    "tensorboard": (
        "from pathlib import Path; from bloxdb.trainer.scalars import Scalars; "
        "ask = lambda: Scalars(Path('nowhere'), 'a', 1, 0, failed=print)",
        "--tensorboard needs tensorboard",
        "tensorboard",
    ),
    "ray": ("from bloxdb.trainer.cluster import joined; ask = joined('auto').__enter__", "--ray needs ray", "ray"),
    "sklearn": ("from bloxdb.trainer.data import load_digits as ask", "the data set of digits needs sklearn", "train"),
}  # fmt: skip


def without(module: str) -> str:
    """Code after which there is no such library."""
    return f"""
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


def run(code: str, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", code, *arguments]
    return subprocess.run(words, capture_output=True, text=True, cwd=folder, check=False)


@pytest.mark.slow
@pytest.mark.parametrize("module", WAYS)
def test_whoever_needs_an_extra_says_so_in_one_way(module: str, tmp_path: Path) -> None:
    code, told, extra = WAYS[module]
    code = f"{without(module)}{code}\ntry:\n    ask()\nexcept MissingExtraError as error:\n    print(error)\n"
    done = run(code, tmp_path)
    assert done.stdout == f"{told}: pip install 'bloxdb[{extra}]'\n", done.stderr


NO_TORCH = "the trainer needs torch: pip install 'bloxdb[train]'"
WITHOUT_TORCH = {"TrainingRecipe", "default_recipe", "make_recipe"}
"""What says how is trained, and trains nothing."""

ASKS = """
import bloxdb
from bloxdb.compat.model import get_model

def of_the_run():
    return bloxdb.Run(arch_id=5).load_network()

def imported(name):
    exec(f"from bloxdb.trainer import {name}")

ways = {name: lambda name=name: getattr(bloxdb.trainer, name) for name in bloxdb.trainer.__all__}
ways |= {f"from {name}": lambda name=name: imported(name) for name in bloxdb.trainer.__all__}
ways |= {"get_model": lambda: get_model(5), "load_network": of_the_run}
for name, ask in ways.items():
    try:
        ask()
        print(name, "", sep="\t")
    except MissingExtraError as error:
        print(name, error, sep="\t")
"""


def test_whatever_needs_torch_says_so_in_the_same_words(tmp_path: Path) -> None:
    done = run(without("torch") + ASKS, tmp_path)
    assert done.returncode == 0, done.stderr
    said = dict(line.split("\t") for line in done.stdout.splitlines())
    without_torch = {f"{way}{name}" for name in WITHOUT_TORCH for way in ("", "from ")}
    assert said.keys() > without_torch | {"Network", "get_model", "load_network"}
    assert said == {name: "" if name in without_torch else NO_TORCH for name in said}


COMMANDS = {
    "torch": ["train --db new.db --arch 5 --dataset digits", "quickstart new"],
    "tensorboard": ["train --db new.db --arch 5 --dataset digits --tensorboard scalars"],
    "ray": ["train --db new.db --arch 5 --dataset digits --ray"],
    "sklearn": ["train --db new.db --arch 5 --dataset digits", "quickstart new"],
    "pyarrow": ["import --db new.db parquet"],
}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "command"),
    [(module, command) for module, commands in COMMANDS.items() for command in commands],
)
def test_a_command_that_lacks_a_library_leaves_nothing(module: str, command: str, tmp_path: Path) -> None:
    (tmp_path / "parquet").mkdir()
    (tmp_path / "parquet" / "runs.parquet").write_bytes(b"")
    code = f"{without(module)}from bloxdb.cli import main; main(prog_name='bloxdb')"
    done = run(code, tmp_path, *command.split())
    assert done.returncode == 1
    assert f"needs {module}: pip install 'bloxdb[" in done.stderr
    assert "created" not in done.stdout + done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["parquet"]
