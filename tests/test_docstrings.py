"""What the docstrings of public names say, by numpydoc's validation.

Public are the names of `bloxdb.__all__` and of the packages that `bloxdb/__init__.py` lists, with their public
methods and properties. Asked for is what a caller cannot see elsewhere: that there is a docstring (GL08), that
each parameter is in it (PR01), none that is not there (PR02), in their order (PR03), with a description (PR07),
that what is returned or yielded is described (RT01, RT03, YD01).

Three rules say where a section may be left out:

- A function without parameters, a property, and one that gives a plain number, text or truth value, say what
  they give in their first sentence.
- A class with fields (dataclass, named tuple, model) or of methods alone (protocol) lists them as attributes;
  the parameters of its `__init__` are asked for only where it is written out.
- A method whose summary ends in 'its parameters are those of `name`' leaves them there, if it has the same
  ones; what carries out `bloxdb.dataset.Source` leaves them to that class.

Not asked for: types in sections (PR04, the annotations have them, and mypy checks them), an extended summary,
an example and 'See Also' for everything (ES01, EX01, SA01), and matters of form (GL, SS, PR08, RT04), which
ruff's D rules hold in our style.
"""

from __future__ import annotations

import importlib
import inspect
import re
from collections.abc import Iterator
from typing import Any

import pytest
from numpydoc.docscrape import NumpyDocString
from numpydoc.validate import validate

import bloxdb
from bloxdb.dataset import Source

ASKED = {"GL08", "PR01", "PR02", "PR03", "PR07", "RT01", "RT03", "YD01"}
PLAIN = {"bool", "int", "float", "str", "None"}
PACKAGES = ("codecs", "compat", "dataset", "db", "draw", "errors", "plot", "runs", "space", "trainer")
MODULES = (
    "graph_utils",
    "io",
    "model",
    "search_space",
    "utils",
)  # of compat, public as the original has them


def is_ours(found: object) -> bool:
    home = getattr(found, "__module__", None) or ""
    return home.startswith("bloxdb.") and (inspect.isclass(found) or inspect.isfunction(found))


def public() -> Iterator[tuple[str, Any, type | None]]:
    """Address, object and class of every public name."""
    tops = [getattr(bloxdb, name) for name in bloxdb.__all__]
    for package in (*PACKAGES, *(f"compat.{name}" for name in MODULES)):
        module = importlib.import_module(f"bloxdb.{package}")
        tops += [getattr(module, name) for name in getattr(module, "__all__", vars(module))]
    for found in {f"{top.__module__}.{top.__qualname__}": top for top in tops if is_ours(top)}.values():
        address = f"{found.__module__}.{found.__qualname__}"
        yield address, found, None
        for name, member in vars(found).items() if inspect.isclass(found) else ():
            plain = getattr(member, "__func__", member)
            if not name.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property)):
                yield f"{address}.{name}", plain, found


def parameters(function: Any) -> list[str]:
    return [name for name in inspect.signature(function).parameters if name not in ("self", "cls")]


def left_out(found: Any, owner: type | None) -> set[str]:
    """The codes that the three rules of this module do not ask of it."""
    if inspect.isclass(found):
        init = vars(found).get("__init__")
        written = inspect.isfunction(init) and init.__code__.co_filename == inspect.getsourcefile(found)
        return set() if written and not getattr(found, "_is_protocol", False) else {"PR01"}
    if isinstance(found, property):
        return {"RT01"}
    codes = set()
    if not parameters(found) or set(str(found.__annotations__.get("return")).split(" | ")) <= PLAIN:
        codes.add("RT01")
    other = re.search(r"its parameters are those of `(\w+)`\.", inspect.getdoc(found) or "")
    if other and parameters(getattr(owner, other[1])) == parameters(found):
        codes |= {"PR01", "RT01"}
    asked_of_source = {name for name in dir(Source) if not name.startswith("_")}
    carried_out = owner not in (None, Source) and found.__name__ in asked_of_source
    if carried_out and asked_of_source <= {*dir(owner), *Source.__annotations__}:
        codes |= {"PR01", "RT01"}
    return codes


PUBLIC = list(public())


def test_the_public_names_are_found() -> None:
    addresses = {address for address, _, _ in PUBLIC}
    assert {"bloxdb.queries.top", "bloxdb.db.database.Database.rows", "bloxdb.errors.QueryError"} <= addresses


@pytest.mark.parametrize(("address", "found", "owner"), PUBLIC, ids=[address for address, _, _ in PUBLIC])
def test_a_docstring_says_what_a_caller_needs(address: str, found: Any, owner: type | None) -> None:
    wanted = ASKED - left_out(found, owner)
    assert [error for error in validate(address)["errors"] if error[0] in wanted] == []


def test_fields_of_public_dataclasses_are_attributes_in_their_docstrings() -> None:
    missing = []
    for address, found, _ in PUBLIC:
        if inspect.isclass(found) and "__dataclass_fields__" in vars(found):
            listed = NumpyDocString(inspect.getdoc(found) or "")["Attributes"]
            named = {name for entry in listed for name in (entry.name or entry.type).split(", ")}
            missing += [f"{address}.{name}" for name in found.__dataclass_fields__ if name not in named]
    assert missing == []
