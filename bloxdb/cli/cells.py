"""The three cells of an architecture drawn with characters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest

_WIDTH = 8  # of a box with the longest name, its borders counted

# `A` and `B` stand where the boxes of the operations are: their left borders, three lines high
_DOWN = "     │     "
_SERIAL = {
    "ST1": (_DOWN, _DOWN, _DOWN, _DOWN, "A", _DOWN, _DOWN, _DOWN, _DOWN),
    "ST2": (_DOWN, "A", _DOWN, _DOWN, "B", _DOWN, _DOWN),
    "ST3": ("╭────┤     ", "A", "│    │     ", "╰────+     ", "B", _DOWN, _DOWN),
    "ST4": (_DOWN, "A", "     ├────╮", "     │    │", "B", "     +────╯", _DOWN),
    "ST5": ("╭────┤     ", "A", "│    ├────╮", "╰────+    │", "B", "     +────╯", _DOWN),
}
_ARC_LEFT, _ARC_RIGHT = ("ST3", "ST5"), ("ST4", "ST5")  # past the first box, past the second


def draw_cells(blocks: Sequence[tuple[str, str, str | None]], first: int = 1) -> list[str]:
    """Blocks side by side, from top to bottom, as lines of one width.

    Parameters
    ----------
    blocks
        Scheme and operations of each.
    first
        The stage of the first of them.
    """
    columns = [_titled(f"stage {at}", _cell(*block)) for at, block in enumerate(blocks, start=first)]
    return ["   ".join(parts) for parts in zip(*columns, strict=True)]


def side_by_side(left: Sequence[str], right: Sequence[str], gap: int = 2) -> list[str]:
    """Two texts side by side, the lines of the first filled up to its longest."""
    width = max(map(len, left), default=0)
    pairs = zip_longest(left, right, fillvalue="")
    return [f"{a:{width}}{' ' * gap}{b}".rstrip() for a, b in pairs]


def _titled(title: str, lines: list[str]) -> list[str]:
    return [title.center(len(lines[0])), *lines]


def _cell(scheme: str, op1: str, op2: str | None) -> list[str]:
    if scheme == "ST6":
        return _side_by_side(op1, op2 or "")
    lines: list[str] = []
    for line in _SERIAL[scheme]:
        if line in ("A", "B"):
            is_first = line == "A"
            box = _box(op1 if is_first else op2 or "")
            left = "│ " if is_first and scheme in _ARC_LEFT else "  "
            right = "│" if not is_first and scheme in _ARC_RIGHT else " "
            lines += [f"{left}{part}{right}" for part in box]
        else:
            lines.append(line)
    return lines


def _box(name: str) -> list[str]:
    inner = _WIDTH - 2
    at = 2  # the wire goes through here
    bar = "─" * at, "─" * (inner - at - 1)
    return [f"┌{bar[0]}┴{bar[1]}┐", f"│{name.center(inner)}│", f"└{bar[0]}┬{bar[1]}┘"]


def _side_by_side(op1: str, op2: str) -> list[str]:
    a, b = _box(op1), _box(op2)
    boxes = [f"{x} {y}" for x, y in zip(a, b, strict=True)]
    first, second, width = 3, 3 + _WIDTH + 1, 2 * _WIDTH + 1
    middle = (first + second) // 2

    def line(marks: dict[int, str], filled: bool = False) -> str:
        row = [" "] * width
        if filled:
            row[first : second + 1] = "─" * (second + 1 - first)
        for at, mark in marks.items():
            row[at] = mark
        return "".join(row)

    down, both = line({middle: "│"}), line({first: "│", second: "│"})
    return [
        down, down, line({first: "╭", middle: "┴", second: "╮"}, True), both,
        *boxes,
        both, line({first: "╰", middle: "+", second: "╯"}, True), down, down,
    ]  # fmt: skip
