"""Numbers in reports, as a person reads them."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from bloxdb.counts import Counts, counted


@pytest.mark.parametrize(
    ("counts", "text"),
    [
        (Counts(), "nothing"),
        (Counts(300, 600, 120_000), "300 architectures, 600 runs, 120,000 epochs"),
        (Counts(1, 1, 1, 1), "1 architecture, 1 run, 1 epoch, 1 latency"),
        (Counts(latencies=2), "2 latencies"),
        (Counts(runs=1_000_000), "1,000,000 runs"),
    ],
)
def test_counts_are_told_in_words_and_without_what_there_is_none_of(counts: Counts, text: str) -> None:
    assert str(counts) == text
    assert bool(counts) == (text != "nothing")


def test_one_is_told_otherwise_than_several() -> None:
    told = [counted(n, "row") for n in (0, 1, 2, 91_125)]
    assert told == ["0 rows", "1 row", "2 rows", "91,125 rows"]
    assert [counted(n, "run waits", "runs wait") for n in (0, 1, 2)] == [
        "0 runs wait",
        "1 run waits",
        "2 runs wait",
    ]


ROOT = Path(__file__).parents[1]
NEVER_ONE = {
    # what stands before a word for several in a sentence of ours, and why it is told so all the same
    "rows": "more than all architectures",
    "end": "the first rows of a damaged table",
    "runs": "words that `counted` made",
    "len(found)": "more than are shown",
    "len(found['failures'])": "more than are shown",
    "len(self)": "more than all architectures",
    "len(values)": "asked for before",
    "len(places)": "asked for before",
    "len(repetitions)": "asked for before",
    "len(value)": "a text that is too long",
    "len(data)": "a text that is too long",
    "count": "images of a data set with three parts, or blocks of a scheme",
    "each": "a shape",
    "size": "of memory",
    "self._limit": "of memory",
    "self._size": "of memory",
    "self.bytes:,": "of a whole database",
    "self._rows / seconds:,.0f": "a measurement",
    "len(FIELDS)": "the numbers of a cell",
    "longest": "a limit",
    "state['threads']!r:.40": "whatever a checkpoint says",
    "workers!r:.40": "whatever a checkpoint says",
}
SEVERAL = re.compile(
    r" (values|rows|fields|columns|bytes|files|findings|seeds|runs|epochs|references|entries|places|evaluations"
    r"|numbers|texts|integers|pairs|architectures|repetitions|workers|threads|ranges|characters|blocks)\b"
)


def hand_made(path: Path) -> Iterator[str]:
    """What stands in a module for one and for several without `counted`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.BinOp | ast.IfExp) and re.search(r"(?<!\w)'s'(?!\w)", ast.unparse(node)):
            yield ast.unparse(node)
        if isinstance(node, ast.JoinedStr):
            for value, words in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(words, ast.Constant):
                    told = ast.unparse(ast.JoinedStr([value]))[3:-2]
                    is_limit = re.fullmatch(r"[A-Z_:,]+", told)
                    if SEVERAL.match(str(words.value)) and not (is_limit or told in NEVER_ONE):
                        yield f"{{{told}}}{words.value[:20]}"


@pytest.mark.parametrize("folder", ["bloxdb", "trainer"])
def test_what_is_counted_is_told_by_one_function(folder: str) -> None:
    paths = [path for path in sorted((ROOT / folder).rglob("*.py")) if path.name != "counts.py"]
    assert {str(path): found for path in paths if (found := [*hand_made(path)])} == {}
