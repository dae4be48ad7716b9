"""Calls of the original package on `release-small`, and what it answered: bloxdb gives the same.

`tests/data/golden/calls.jsonl` is a call a line: openings of the folder, calls on what was opened, functions,
constructors. `result` is the answer as JSON, `raises` the error, of which ours may be a subclass. Ours raises wherever the
original does, also where bloxdb could know an answer.
"""

from __future__ import annotations

import builtins
import functools
import json
from pathlib import Path
from typing import Any

import pytest

import bloxdb.compat as blox
from tests.dataset.helpers import SMALL

GOLDEN = Path(__file__).parents[1] / "data" / "golden"
FOLDER = GOLDEN / SMALL
CALLS = [json.loads(line) for line in (GOLDEN / "calls.jsonl").read_text().splitlines()]
OPENINGS = {call["open"]: call["kwargs"] for call in CALLS if "open" in call}

UNORDERED = {"dotted"}
"""Openings whose devices the original has in the order in which the system listed the folder, not by name."""


@functools.cache
def opened(name: str) -> blox.Dataset:
    return blox.from_folder(FOLDER, **OPENINGS[name])


def plain(value: Any) -> Any:
    """An answer as JSON has it; what JSON does not keep apart (a tuple, a NumPy number) must not be in it."""
    assert type(value) in (dict, list, str, int, float, bool, type(None)), type(value)
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list) else value


def what_it_says(name: str) -> dict[str, Any]:
    found = opened(name)
    told: dict[str, Any] = {"len": len(found)}
    for one in ("bench_info", "static_info", "env_info"):
        told[one] = getattr(found, one) is not None
    for one in ("seeds", "columns", "is_extended", "epochs", "dataset", "version", "devices"):
        told[one] = getattr(found, one)
    for one in ("search_space", "ops", "nodes", "stages"):
        told[one] = getattr(found, one)
    return told


def on(found: Any, call: dict[str, Any]) -> Any:
    """The answer of a method to an architecture."""
    method, arch, options = call["method"], call["arch"], call.get("kwargs", {})
    if method == "in":
        return arch in found
    if method == "getitem":
        return found[blox.search_space.get_model_hash(arch)]
    if method == "full_info_by_graph":
        arch = blox.graph_utils.get_model_graph(arch)[0]
    return getattr(found, method)(arch, **options)


def function(call: dict[str, Any]) -> Any:
    name, _, what = call["function"].partition(", ")
    found = functools.reduce(getattr, name.split("."), blox)(*call["args"])
    if what == "first three and count":
        return [found[:3], sum(1 for _ in found)]
    return found


def constructed(call: dict[str, Any]) -> Any:
    def placed(argument: Any) -> Any:
        if isinstance(argument, list):
            return [placed(one) for one in argument]
        return FOLDER / argument if isinstance(argument, str) else argument

    made = getattr(blox, call["constructor"])(*map(placed, call["args"]))
    return getattr(made, call["attribute"]) if "attribute" in call else on(made, call)


def answer(call: dict[str, Any]) -> Any:
    if "open" in call:
        return what_it_says(call["open"])
    if "on" in call:
        return on(opened(call["on"]), call)
    return function(call) if "function" in call else constructed(call)


def title(call: dict[str, Any]) -> str:
    what = call.get("method") or call.get("attribute") or ""
    where = next(call[kind] for kind in ("open", "on", "function", "constructor") if kind in call)
    return f"{where} {what} {call.get('kwargs') or ''}".strip()


def test_all_calls_of_the_original_are_here() -> None:
    assert len(CALLS) == 1015
    assert len(OPENINGS) == 16


@pytest.mark.parametrize("call", CALLS, ids=map(title, CALLS))
def test_a_call_gives_what_the_original_gave(call: dict[str, Any]) -> None:
    if "raises" in call:
        with pytest.raises(getattr(builtins, call["raises"])):
            answer(call)
        return
    found, expected = plain(answer(call)), call["result"]
    if call.get("on") in UNORDERED and call["method"] == "latency" and "devices" not in call["kwargs"]:
        found, expected = sorted(found), sorted(expected)
    assert found == expected
    assert [type(one) for one in leaves(found)] == [type(one) for one in leaves(expected)]


def leaves(value: Any) -> list[Any]:
    """The values in an answer; an int is not a float."""
    if isinstance(value, dict):
        return [leaf for key in sorted(value) for leaf in leaves(value[key])]
    return [leaf for one in value for leaf in leaves(one)] if isinstance(value, list) else [value]


DICTS = [
    call for call in CALLS if call.get("method", "").startswith("full_info") and type(call["result"]) is dict
]


@pytest.mark.parametrize("call", DICTS, ids=map(title, DICTS))
def test_a_dict_has_the_order_of_the_original(call: dict[str, Any]) -> None:
    assert list(answer(call)) == list(call["result"])
