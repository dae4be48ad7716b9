"""The little graph of a block: which nodes and wires each scheme has, where they are, how they are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bloxdb.draw.palette import OP_COLOURS, OP_INKS
from bloxdb.draw.svg import Canvas

WIRES = {
    "ST1": (("x", "op1"), ("op1", "out")),
    "ST2": (("x", "op1"), ("op1", "op2"), ("op2", "out")),
    "ST3": (("x", "op1"), ("op1", "sum1"), ("x", "sum1"), ("sum1", "op2"), ("op2", "out")),
    "ST4": (("x", "op1"), ("op1", "op2"), ("op2", "sum2"), ("op1", "sum2"), ("sum2", "out")),
    "ST5": (
        *(("x", "op1"), ("op1", "sum1"), ("x", "sum1"), ("sum1", "op2")),
        *(("op2", "sum2"), ("op1", "sum2"), ("sum2", "out")),
    ),
    "ST6": (("x", "op1"), ("x", "op2"), ("op1", "sum2"), ("op2", "sum2"), ("sum2", "out")),
}
"""What flows where within a block of each scheme."""

FORMULAS = {
    "ST1": ("out = op1(x)",),
    "ST2": ("h = op1(x)", "out = op2(h)"),
    "ST3": ("h = op1(x)", "out = op2(h + x)"),
    "ST4": ("h = op1(x)", "out = op2(h) + h"),
    "ST5": ("h = op1(x)", "out = op2(h + x) + h"),
    "ST6": ("out = op1(x) + op2(x)",),
}
"""The same as formulas."""

WORDS = {
    "ST1": "{op1} alone",
    "ST2": "{op1}, then {op2}",
    "ST3": "{op1}, then {op2}, which gets the block's input, too",
    "ST4": "{op1}, then {op2}, and the result of the first is added to that of the second",
    "ST5": "{op1}, then {op2}, which gets the block's input, too, and the result of the first is added to "
    "that of the second",
    "ST6": "{op1} and {op2} side by side on the block's input, added",
}
"""The same as words."""

BOX_WIDTH, BOX_HEIGHT = 62, 27
HEIGHT = 168
"""From the input of a block to its output."""

_HEIGHTS = {"x": 0, "op1": 36, "sum1": 68, "op2": 100, "sum2": 134, "out": HEIGHT}
_SIDE = (BOX_WIDTH + 4) / 2
_PLUS = 8  # the radius of a sum
_TIP = 6  # how long the head of an arrow is
_BEND = 66  # how far to the side the corners of a skip's curve are


@dataclass(frozen=True)
class Box:
    """Where a node is: its centre, and half of its width and height."""

    x: float
    y: float
    half_width: float
    half_height: float


def boxes(scheme: str, x: float, y: float) -> dict[str, Box]:
    """The nodes of a block whose input is at this point.

    Parameters
    ----------
    scheme
        ``'ST1'`` … ``'ST6'``.
    x, y
        The point.
    """
    names = dict.fromkeys(name for wire in WIRES[scheme] for name in wire)
    found = {}
    for name in names:
        at_x, at_y = x, y + _HEIGHTS[name]
        if scheme in ("ST1", "ST6") and name.startswith("op"):
            at_y = y + HEIGHT / 2 - (0 if scheme == "ST1" else 16)
            at_x = x if scheme == "ST1" else x + (_SIDE if name == "op2" else -_SIDE)
        is_op = name.startswith("op")
        half = _PLUS if name.startswith("sum") else 0
        found[name] = Box(at_x, at_y, BOX_WIDTH / 2 if is_op else half, BOX_HEIGHT / 2 if is_op else half)
    return found


def draw_block(canvas: Canvas, scheme: str, ops: Mapping[str, str], x: float, y: float, owner: str) -> None:
    """Draw a block: wires, sums, and a box an operation.

    Parameters
    ----------
    canvas
        What is drawn on.
    scheme
        How the operations are wired.
    ops
        The name in the box of ``'op1'`` and of ``'op2'``; one that is no operation's has no colour.
    x, y
        Where the input of the block is.
    owner
        What the names of nodes begin with, as ``'stage1.'``.
    """
    found = boxes(scheme, x, y)
    for source, target in WIRES[scheme]:
        draw_wire(canvas, found, source, target, owner)
    for name, place in found.items():
        if name.startswith("op"):
            draw_op(canvas, place, ops[name], f"{owner}{name}")
        else:
            draw_point(canvas, place, f"{owner}{name}")


def draw_op(canvas: Canvas, box: Box, op: str, node: str) -> None:
    """A box with the name of an operation, in its colour."""
    corner = (box.x - box.half_width, box.y - box.half_height)
    canvas.box(
        *corner, 2 * box.half_width, 2 * box.half_height, radius=5, stroke="wire", stroke_width=1.2,
        fill=OP_COLOURS.get(op, "paper"), data_node=node, data_op=op,
    )  # fmt: skip
    canvas.text(box.x, box.y, op, 14, fill=OP_INKS.get(op, "ink"))


def draw_point(canvas: Canvas, box: Box, node: str) -> None:
    """Where a block begins or ends, or a sum."""
    if not box.half_width:
        canvas.dot(box.x, box.y, 3, fill="wire", data_node=node)
        return
    canvas.dot(box.x, box.y, _PLUS, fill="paper", stroke="wire", stroke_width=1.4, data_node=node)
    arm = _PLUS - 3.5
    canvas.path(
        f"M {box.x - arm} {box.y} L {box.x + arm} {box.y} M {box.x} {box.y - arm} "
        f"L {box.x} {box.y + arm}",
        stroke="wire", stroke_width=1.4,
    )  # fmt: skip


def draw_wire(
    canvas: Canvas, found: Mapping[str, Box], source: str, target: str, owner: str, *, dashed: bool = False
) -> None:
    """What flows from one node to another: straight down, or past what is between as an arc."""
    a, b = found[source], found[target]
    named = {"data_from": f"{owner}{source}", "data_to": f"{owner}{target}"}
    if dashed:
        named["stroke_dasharray"] = "4 3"
    start, end = a.y + a.half_height, b.y - b.half_height
    side = {("x", "sum1"): -1, ("op1", "sum2"): 1}.get((source, target), 0) if a.x == b.x else 0
    if side:
        x, y = b.x + side * b.half_width, b.y
        start += 0 if source == "x" else 3
        canvas.path(
            f"M {a.x} {start} C {a.x + side * _BEND} {start + 6} {a.x + side * _BEND} {y - 2} "
            f"{x + side * _TIP} {y}",
            stroke="wire", stroke_width=1.6, **named,
        )  # fmt: skip
        _tip(canvas, x, y, side, 0)
    elif a.x == b.x:
        tip = 0 if target == "out" else _TIP
        canvas.path(f"M {a.x} {start} L {b.x} {end - tip}", stroke="wire", stroke_width=1.6, **named)
        if tip:
            _tip(canvas, b.x, end, 0, -1)
    else:
        middle = (start + end - _TIP) / 2
        canvas.path(
            f"M {a.x} {start} C {a.x} {middle} {b.x} {middle} {b.x} {end - _TIP}"
            if target != "sum2"
            else f"M {a.x} {start} C {a.x} {b.y - 6} {a.x} {b.y} {_beside(a, b)} {b.y}",
            stroke="wire", stroke_width=1.6, **named,
        )  # fmt: skip
        if target == "sum2":
            _tip(canvas, _beside(a, b, 0), b.y, 1 if a.x > b.x else -1, 0)
        else:
            _tip(canvas, b.x, end, 0, -1)


def _beside(a: Box, b: Box, tip: float = _TIP) -> float:
    return b.x + (1 if a.x > b.x else -1) * (b.half_width + tip)


def _tip(canvas: Canvas, x: float, y: float, from_x: int, from_y: int) -> None:
    """The head of an arrow that ends here and comes from that side."""
    back_x, back_y = x + from_x * _TIP, y + from_y * _TIP
    wide_x, wide_y = from_y * _TIP * 0.6, from_x * _TIP * 0.6
    canvas.path(
        f"M {x} {y} L {back_x + wide_x:.2f} {back_y + wide_y:.2f} "
        f"L {back_x - wide_x:.2f} {back_y - wide_y:.2f} Z",
        fill="wire",
    )
