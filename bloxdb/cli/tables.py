"""Rows as a person reads them: a table that fits the terminal, or one field a line.

A number is never folded, since half a number is another number.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from rich.cells import cell_len

from bloxdb.cli.terminal import bold, clean
from bloxdb.counts import counted
from bloxdb.errors import InvalidArchError
from bloxdb.measures import COSTS
from bloxdb.space import BlockKind, arch_index, blocks_of
from bloxdb.space.keys import KEY

_KEY_DIGITS = 8  # of a hash: no two architectures begin with the same eight
_SAID_ONCE = ("recipe", "seed", "seeds")  # above the table, where all rows have the same
_HASH = re.compile("[0-9a-f]{32}")
_LEAST = 12  # columns for a text of several lines
_LONG = 12  # characters of a number, more than any that was measured has
_DECIMALS = 4


@dataclass(frozen=True)
class _Layout:
    """A way to save room; those below try one after the other."""

    short: bool = False  # eight digits of a hash, numbers of blocks instead of their names
    once: bool = False  # what is the same in all rows stands above them
    folded: bool = False  # headings in several lines
    gap: int = 2


_LAYOUTS = (
    _Layout(),
    _Layout(short=True),
    _Layout(short=True, once=True),
    _Layout(short=True, once=True, gap=1),
    _Layout(short=True, once=True, folded=True),
    _Layout(short=True, once=True, folded=True, gap=1),
)


def as_text(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> str:
    """Rows for a terminal of some width: the most spacious table that fits, else one field a line.

    Parameters
    ----------
    columns
        The names of the columns.
    rows
        The values of each row.
    width
        The columns of the terminal.
    """
    rows = list(zip(*(_aligned_fractions(column) for column in zip(*rows, strict=True)), strict=True))
    for layout in _LAYOUTS:
        text, needed = _table(columns, rows, layout)
        if needed <= width:
            return text
    return _records(columns, rows, width)


def _table(columns: Sequence[str], rows: Sequence[Sequence[Any]], layout: _Layout) -> tuple[str, int]:
    """A table, and how wide it is."""
    once = _same_in_all(columns, rows) if layout.once else {}
    kept = [at for at in range(len(columns)) if at not in once]
    headings, lines, widths = [], [], []
    for at in kept:
        cells = [_cell(columns[at], row[at], layout.short) for row in rows]
        widest = max(map(cell_len, cells), default=0)
        heading = _heading(columns[at], widest if layout.folded else None)
        size = max(widest, *map(cell_len, heading))
        to_right = not any(isinstance(row[at], str) for row in rows)
        headings.append([_aligned(part, size, to_right) for part in heading])
        lines.append([_aligned(cell, size, to_right) for cell in cells])
        widths.append(size)
    height = max(map(len, headings), default=1)
    for heading, size in zip(headings, widths, strict=True):
        heading[:0] = [" " * size] * (height - len(heading))
    above = ", ".join(once.values())
    space = " " * layout.gap
    text = [above] if above else []
    text += [bold(space.join(parts).rstrip()) for parts in zip(*headings, strict=True)]
    text += [space.join(parts).rstrip() for parts in zip(*lines, strict=True)]
    return "\n".join(text), max(cell_len(above), sum(widths) + layout.gap * (len(widths) - 1))


def _same_in_all(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[int, str]:
    """What stands above the table, by the place of its column."""
    found = {}
    for at, name in enumerate(columns):
        if name in _SAID_ONCE and rows and all(row[at] == rows[0][at] for row in rows):
            value = _cell(name, rows[0][at], short=True)
            is_count = name == "seeds" and isinstance(rows[0][at], int)
            found[at] = f"over {counted(rows[0][at], 'seed')}" if is_count else f"{name} {value}"
    return found if len(found) < len(columns) else {}


class _Fraction(float):
    """A number that is shown with so many decimals as all in its column."""

    text: str


def _aligned_fractions(column: Sequence[Any]) -> list[Any]:
    """A column whose fractions have one number of decimals, so that they compare at a glance.

    Those that were measured keep all of theirs; averages, which have any number of them, get as many.
    """
    texts = [_digits(value) if type(value) is float else "" for value in column]
    decimals = max((len(text.partition(".")[2]) for text in texts), default=0)
    shown = []
    for value, text in zip(column, texts, strict=True):
        if text:
            value = _Fraction(value)
            is_long = len(repr(float(value))) > _LONG
            value.text = (
                f"{value:.{decimals}f}" if is_long else text.ljust(text.index(".") + decimals + 1, "0")
            )
        shown.append(value)
    return shown


def _digits(value: float) -> str:
    """A fraction as it is, or with a few decimals if it is long; '' where it has an exponent."""
    text = repr(value)
    if len(text) > _LONG:
        text = f"{value:.{_DECIMALS}f}" if _is_middling(value) else ""
    return text if "." in text and "e" not in text else ""


def _records(columns: Sequence[str], rows: Sequence[Sequence[Any]], width: int) -> str:
    """One field a line; a text is folded, a number is not."""
    titles = [_title(name) for name in columns]
    indent = max(map(cell_len, titles), default=0) + 2
    room = max(width - indent, _LEAST)
    blocks = []
    for row in rows:
        lines = []
        for name, title, value in zip(columns, titles, row, strict=True):
            text = _cell(name, value, short=False)
            if len(text) > room:
                text = _cell(name, value, short=True)
            parts = textwrap.wrap(text, room) if isinstance(value, str) else [text]
            lines += [f"{bold(title)}{' ' * (indent - cell_len(title))}{part}" for part in parts[:1] or [""]]
            lines += [" " * indent + part for part in parts[1:]]
        blocks.append("\n".join(lines))
    return "\n\n".join(blocks)


def _aligned(text: str, size: int, to_right: bool) -> str:
    padding = " " * (size - cell_len(text))
    return padding + text if to_right else text + padding


def _heading(name: str, width: int | None) -> list[str]:
    """A column's name, folded where it has underscores if it is to be no wider than the values."""
    name = _title(name)
    if width is None:
        return [name]
    lines: list[str] = []
    for word in name.split("_"):
        joined = f"{lines[-1]}_{word}" if lines else word
        if lines and cell_len(joined) <= width:
            lines[-1] = joined
        else:
            lines.append(word)
    return lines


def _title(name: str) -> str:
    return "blocks" if name == "vec" else clean(name)


def _cell(name: str, value: Any, short: bool) -> str:
    if value is None:
        return "-"
    if isinstance(value, bytes | memoryview):
        return bytes(value).hex()
    if name in COSTS and isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, _Fraction):
        return value.text
    if isinstance(value, float) and len(repr(value)) > _LONG:
        return _shortened(value)
    if isinstance(value, str):
        if short and name in ("hash", KEY) and _HASH.fullmatch(value):
            return value[:_KEY_DIGITS]
        if name == "vec":
            return _blocks(value, (lambda block: str(block.index)) if short else _named)
    return clean(str(value))


def _shortened(value: float) -> str:
    """A long fraction, as averages are, with so many decimals as a person compares by."""
    return f"{value:.{_DECIMALS}f}" if _is_middling(value) else f"{value:.{_DECIMALS}g}"


def _is_middling(value: float) -> bool:
    return 1e-3 <= abs(value) < 1e12


def _blocks(vec: str, shown: Callable[[BlockKind], str]) -> str:
    """A vector as its three blocks; other text, which a query of one's own may give, as it is."""
    try:
        return " ".join(map(shown, blocks_of(arch_index(vec))))
    except InvalidArchError:
        return clean(vec)


def _named(block: BlockKind) -> str:
    return f"{block.scheme}({','.join(_ops(block))})"


def _ops(block: BlockKind) -> Iterable[str]:
    return filter(None, (block.op1, block.op2))
