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
    # what stands before a word for several in a sentence of ours, where, and why it is told so all the same
    ("bloxdb/arguments.py", "longest"): "a limit",
    ("bloxdb/arrow_checks.py", "len(value)"): "a text that is too long",
    ("bloxdb/cli/manage.py", "len(found)"): "more than are shown",
    ("bloxdb/cli/manage.py", "len(found['failures'])"): "more than are shown",
    ("bloxdb/cli/train.py", "len(places)"): "asked for before",
    ("bloxdb/codecs/blox.py", "len(data)"): "a text that is too long",
    ("bloxdb/codecs/blox.py", "rows"): "more than all architectures",
    ("bloxdb/codecs/deflate.py", "self._limit"): "of memory",
    ("bloxdb/codecs/header.py", "len(data)"): "a text that is too long",
    ("bloxdb/codecs/packed.py", "size"): "of memory",
    ("bloxdb/codecs/table.py", "each"): "a shape",
    ("bloxdb/codecs/table.py", "len(self)"): "more than all architectures",
    ("bloxdb/codecs/values.py", "rows"): "more than all architectures",
    ("bloxdb/codecs/values.py", "self._size"): "of memory",
    ("bloxdb/db/backups.py", "self.bytes:,"): "of a whole database",
    ("bloxdb/draw/networks.py", "count"): "blocks of a scheme",
    ("bloxdb/care/mending.py", "runs"): "words that `counted` made",
    ("bloxdb/plot/learning.py", "len(values)"): "asked for before",
    ("bloxdb/plot/searching.py", "len(repetitions)"): "asked for before",
    ("bloxdb/progress.py", "self._rows / seconds:,.0f"): "a measurement",
    ("bloxdb/space/cells.py", "len(FIELDS)"): "the numbers of a cell",
    ("trainer/checkpoint.py", "spelled(state['threads'], 40)"): "whatever a checkpoint says",
    ("trainer/checkpoint.py", "spelled(workers, 40)"): "whatever a checkpoint says",
    ("trainer/own_data.py", "count"): "images of a data set with three parts",
}
NO_COUNTS = {
    ("bloxdb/plot/axes.py", "Axes of matplotlib"): "a single one is no list",
    ("bloxdb/web/plugin.py", "Explore"): "which of several databases",
}
SEVERAL = re.compile(
    r" (values|rows|fields|columns|bytes|files|findings|seeds|runs|epochs|references|entries|places|evaluations"
    r"|numbers|texts|integers|pairs|architectures|repetitions|workers|threads|ranges|characters|blocks)\b"
)


def asks_for_one(test: ast.expr) -> bool:
    """Whether a condition is that there is one of something, or several: `n == 1`, `found[1:]`."""
    if isinstance(test, ast.Compare):
        is_asked = any(isinstance(part, ast.Constant) and part.value == 1 for part in test.comparators)
        return is_asked and isinstance(test.ops[0], ast.Eq | ast.NotEq)
    return isinstance(test, ast.Subscript) and ast.unparse(test.slice) == "1:"


def has_words(choice: ast.IfExp) -> bool:
    """Whether what is chosen are words."""
    return any(
        isinstance(part, ast.Constant) and isinstance(part.value, str) and part.value.strip()
        for part in (choice.body, choice.orelse)
    )


def hand_made(path: Path, module: str) -> Iterator[str]:
    """What stands in a module for one and for several without `counted`."""
    for node in ast.walk(ast.parse(path.read_text())):
        by_hand = isinstance(node, ast.IfExp) and asks_for_one(node.test) and has_words(node)
        if isinstance(node, ast.BinOp | ast.IfExp):
            by_hand |= bool(re.search(r"(?<!\w)'s'(?!\w)", ast.unparse(node)))
        if by_hand and not any(part in ast.unparse(node) for at, part in NO_COUNTS if at == module):
            yield ast.unparse(node)
        if isinstance(node, ast.JoinedStr):
            for value, words in zip(node.values, node.values[1:], strict=False):
                if isinstance(value, ast.FormattedValue) and isinstance(words, ast.Constant):
                    told = ast.unparse(ast.JoinedStr([value]))[3:-2]
                    is_limit = re.fullmatch(r"[A-Z_:,]+", told)
                    if SEVERAL.match(str(words.value)) and not (is_limit or (module, told) in NEVER_ONE):
                        yield f"{{{told}}}{words.value[:20]}"


@pytest.mark.parametrize("folder", ["bloxdb", "trainer"])
def test_what_is_counted_is_told_by_one_function(folder: str) -> None:
    found = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        module = str(path.relative_to(ROOT))
        if module != "bloxdb/counts.py" and (told := [*hand_made(path, module)]):
            found[module] = told
    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "'seed' + ('s' if n > 1 else '')",
        "'seed' if len(own) == 1 else 'seeds'",
        "verb if count != 1 else 'has'",
        "'train' if others[1:] else 'trains'",
        "f'{count} rows'",
        "f'{size:,} bytes of it'",
    ],
)
def test_what_is_counted_by_hand_is_seen(tmp_path: Path, code: str) -> None:
    path = tmp_path / "module.py"
    path.write_text(code)
    assert [*hand_made(path, "bloxdb/module.py")]
