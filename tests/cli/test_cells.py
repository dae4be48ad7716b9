"""Cells drawn with characters: what is connected to what, and how wide it is."""

from __future__ import annotations

import pytest

from bloxdb.cli.cells import draw_cells, side_by_side
from bloxdb.cli.terminal import _LOOKALIKES
from bloxdb.space import BLOCKS, BlockKind

UP, DOWN, LEFT, RIGHT = (-1, 0), (1, 0), (0, -1), (0, 1)
ENDS = {
    "│": {UP, DOWN}, "─": {LEFT, RIGHT}, "┌": {DOWN, RIGHT}, "┐": {DOWN, LEFT}, "└": {UP, RIGHT}, "┘": {UP, LEFT},
    "╭": {DOWN, RIGHT}, "╮": {DOWN, LEFT}, "╰": {UP, RIGHT}, "╯": {UP, LEFT},
    "├": {UP, DOWN, RIGHT}, "┤": {UP, DOWN, LEFT}, "┬": {LEFT, RIGHT, DOWN}, "┴": {LEFT, RIGHT, UP},
}  # fmt: skip
GIVEN = [(block.scheme, block.op1, block.op2) for block in BLOCKS]


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.scheme} {block.op1} {block.op2}")
def test_no_line_ends_in_nothing(block: BlockKind) -> None:
    lines = draw_cells([GIVEN[block.index]])[1:]  # below the title
    for y, line in enumerate(lines):
        for x, char in enumerate(line):
            for dy, dx in ENDS.get(char, ()):
                if not 0 <= y + dy < len(lines):
                    continue  # where the cell begins or ends
                other = lines[y + dy][x + dx]
                assert other == "+" or (-dy, -dx) in ENDS.get(other, ()), "\n".join(lines)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: f"{block.scheme} {block.op1} {block.op2}")
def test_a_cell_has_its_operations_sums_and_skips(block: BlockKind) -> None:
    text = "\n".join(draw_cells([GIVEN[block.index]])[1:])
    names = [word for word in text.replace("│", " ").split() if word.isalpha()]
    assert names == [op for op in (block.op1, block.op2) if op]
    sums = {"ST3": 1, "ST4": 1, "ST5": 2, "ST6": 1}
    assert text.count("+") == sums.get(block.scheme, 0)
    assert ("╭────┤" in text) == (block.scheme in ("ST3", "ST5"))  # the input goes past the first
    assert ("├────╮" in text) == (block.scheme in ("ST4", "ST5"))  # the first's result goes past the second


@pytest.mark.parametrize("at", range(0, 45, 3))
def test_cells_stand_side_by_side_and_fit_a_terminal(at: int) -> None:
    three = [GIVEN[at], GIVEN[(at + 20) % 45], GIVEN[(at + 31) % 45]]
    lines = draw_cells(three)
    assert len({len(line) for line in lines}) == 1
    assert len(lines[0]) <= 3 * 17 + 6 < 80
    assert len(lines) == 12
    assert [lines[0].count(f"stage {stage}") for stage in (1, 2, 3)] == [1, 1, 1]


def test_an_encoding_without_lines_has_something_like_them() -> None:
    text = "".join(char for given in GIVEN for line in draw_cells([given]) for char in line)
    assert {char for char in text if not char.isascii()} <= set(_LOOKALIKES)


def test_texts_of_any_height_stand_beside_each_other() -> None:
    assert side_by_side(["a", "bcd"], ["1", "22", "333"]) == ["a    1", "bcd  22", "     333"]
    assert side_by_side(["a", "b"], [], 1) == ["a", "b"]
