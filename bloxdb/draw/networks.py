"""Drawings of whole networks: stages left to right, the block of each as its little graph."""

from __future__ import annotations

from typing import Any

from bloxdb.draw.blocks import (
    BOX_WIDTH,
    FORMULAS,
    HEIGHT,
    WIRES,
    WORDS,
    Box,
    draw_block,
    draw_op,
    draw_point,
    draw_wire,
)
from bloxdb.draw.palette import OP_COLOURS
from bloxdb.draw.svg import Canvas, Drawing
from bloxdb.space.cells import BLOCKS, NUM_ARCHS, NUM_BLOCKS, OPS, STAGES, BlockKind, blocks_of
from bloxdb.space.costs import IMAGE_SIZE, STEM_CHANNELS, Cost, arch_cost, block_costs
from bloxdb.space.keys import arch_index, model_hash

_MARGIN = 8
_GUTTER = 27  # between stages, for what is fixed
_PANEL = 134
_HEADER = 44
_COSTS = 42
_FOOT = 16
_PERIOD = _PANEL + _GUTTER
WIDTH = 2 * _MARGIN + STAGES * _PERIOD + _GUTTER

_OP_WORDS = {
    "conv": "four 3×3 convolutions",
    "mbconv": "two times: 3×3 to twice the channels, squeeze and excite, 1×1",
    "bconv": "six times: 1×1, depthwise 5×5, 1×1",
}
_REDUCTIONS = "Each stage is followed by a reduction."
_STACKED = 20  # the height of one of several operations to choose from


def arch(key: Any, *, costs: bool = False, theme: str = "auto") -> Drawing:
    """An architecture: stages from left to right, the block of each as a little graph.

    Parameters
    ----------
    key
        A vector, a model hash or an index; the table in `bloxdb.space.keys` says what each kind gives.
    costs
        Whether each block's share of the network's FLOPs and parameters is shown.
    theme
        ``'auto'`` for dark where the reader's system is dark, ``'light'`` or ``'dark'``.

    Returns
    -------
    Drawing
        The text of an SVG image.

    Raises
    ------
    InvalidArchError
        The key is malformed, or there is no such architecture.
    QueryError
        There is no such theme.

    Examples
    --------
    >>> from bloxdb import draw
    >>> "<title" in draw.arch(53215, costs=True)
    True
    """
    index = arch_index(key)
    blocks = blocks_of(index)
    total = arch_cost(index)
    canvas = Canvas(theme)
    top = _MARGIN + (42 if costs else 24)
    canvas.text(_MARGIN + 2, _MARGIN + 8, f"architecture {index}", 14, anchor="start", bold=True)
    canvas.text(WIDTH - _MARGIN - 2, _MARGIN + 8, model_hash(index)[:8], 12, anchor="end", fill="faint")
    if costs:
        canvas.text(_MARGIN + 2, _MARGIN + 27, _in_words(total), 12, anchor="start", fill="faint")
    height = _frame(canvas, top, _HEADER + HEIGHT + _FOOT + (_COSTS if costs else 0))
    for stage, block in enumerate(blocks):
        _stage(canvas, top, stage, block)
        if costs:
            share = Cost(*block_costs()[block.index, stage].tolist())
            _bars(canvas, _left(stage), top + _HEADER + HEIGHT + _FOOT, share, total)
    words = [_stage_in_words(stage, block) for stage, block in enumerate(blocks)]
    told = " ".join([*words, _REDUCTIONS, f"{_in_words(total)}."])
    return canvas.drawing(WIDTH, height, f"Blox architecture {index}", told, f"bloxdb-arch-{index}")


def pieces() -> dict[str, Any]:
    """What drawings of architectures are put together from, for a page that shows very many of them.

    Returns
    -------
    dict
        ``'box'``, the part of the image that has the stages: x, y, width and height; ``'frame'``, the shapes
        that all architectures have; ``'stages'``, for each stage the blocks in their order, each with its
        ``'shapes'`` and with ``'words'``; ``'end'``, the words that follow. Frame and shapes, one after the
        other, are those that `arch` draws.
    """
    canvas = Canvas("light")
    top = _MARGIN + 24
    height = _frame(canvas, top, _HEADER + HEIGHT + _FOOT)
    stages = []
    for stage in range(STAGES):
        found = []
        for block in BLOCKS:
            alone = Canvas("light")
            _stage(alone, top, stage, block)
            found.append({"shapes": alone.shapes(), "words": _stage_in_words(stage, block)})
        stages.append(found)
    box = [0, top - _MARGIN, WIDTH, height - top + _MARGIN]
    return {"box": box, "frame": canvas.shapes(), "stages": stages, "end": _REDUCTIONS}


def supernet(*, theme: str = "auto") -> Drawing:
    """The network that all architectures are taken from, and what the operations are.

    Parameters
    ----------
    theme
        ``'auto'`` for dark where the reader's system is dark, ``'light'`` or ``'dark'``.

    Returns
    -------
    Drawing
        The text of an SVG image; wires that some blocks have and some have not are dashed.

    Raises
    ------
    QueryError
        There is no such theme.
    """
    canvas = Canvas(theme)
    top = _MARGIN + 24
    canvas.text(_MARGIN + 2, _MARGIN + 8, "Blox: every architecture in one", 14, anchor="start", bold=True)
    graph_height = HEIGHT + 2 * 32
    bottom = _frame(canvas, top, _HEADER + graph_height + _FOOT, graph_height=graph_height)
    for stage in range(STAGES):
        _choices(canvas, _left(stage) + _PANEL / 2, top + _HEADER, f"stage{stage + 1}.")
    y = bottom + 4
    for op in OPS:
        draw_op(canvas, Box(_MARGIN + 2 + BOX_WIDTH / 2, y, BOX_WIDTH / 2, 10), op, f"legend.{op}")
        canvas.text(_MARGIN + BOX_WIDTH + 12, y, _OP_WORDS[op], 12, anchor="start")
        y += 26
    canvas.path(
        f"M {_MARGIN + 2} {y} L {_MARGIN + 2 + BOX_WIDTH} {y}",
        stroke="wire",
        stroke_width=1.6,
        stroke_dasharray="4 3",
    )
    canvas.text(_MARGIN + BOX_WIDTH + 12, y, "in some blocks; head: pool, linear", 12, anchor="start")
    y += 22
    numbers = f"{NUM_BLOCKS} blocks in each of {STAGES} stages: {NUM_ARCHS:,} architectures"
    canvas.text(_MARGIN + 2, y, numbers, 12, anchor="start", bold=True)
    told = (
        f"A stem, {STAGES} stages of a block and a reduction, pooling and a linear layer. A block has one or "
        f"two of the operations {', '.join(OPS)}, wired in one of {len(WIRES)} ways. {numbers}. "
        + " ".join(f"{op}: {words}." for op, words in _OP_WORDS.items())
    )
    return canvas.drawing(WIDTH, y + 18, "The network of all Blox architectures", told, "bloxdb-supernet")


def schemes(*, theme: str = "auto") -> Drawing:
    """The six ways in which the operations of a block are wired.

    Parameters
    ----------
    theme
        ``'auto'`` for dark where the reader's system is dark, ``'light'`` or ``'dark'``.

    Returns
    -------
    Drawing
        The text of an SVG image.

    Raises
    ------
    QueryError
        There is no such theme.
    """
    canvas = Canvas(theme)
    columns, panel, gap = 3, 158, 10
    canvas.text(_MARGIN + 2, _MARGIN + 8, "The six schemes of a block", 14, anchor="start", bold=True)
    top = _MARGIN + 24
    tall = 40 + HEIGHT + 50
    for at, (scheme, formulas) in enumerate(FORMULAS.items()):
        x, y = _MARGIN + at % columns * (panel + gap), top + at // columns * (tall + gap)
        count = sum(block.scheme == scheme for block in BLOCKS)
        canvas.box(x, y, panel, tall, fill="panel", radius=6)
        canvas.text(x + 10, y + 16, scheme, 14, anchor="start", bold=True)
        canvas.text(x + panel - 10, y + 16, f"{count} blocks", 12, anchor="end", fill="faint")
        draw_block(canvas, scheme, {"op1": "op1", "op2": "op2"}, x + panel / 2, y + 36, f"{scheme}.")
        for line, formula in enumerate(formulas):
            canvas.text(x + panel / 2, y + 36 + HEIGHT + 18 + 16 * line, formula, 12)
    width = 2 * _MARGIN + columns * panel + (columns - 1) * gap
    told = " ".join(
        f"{scheme}: {words.format(op1='the first operation', op2='the second')}."
        for scheme, words in WORDS.items()
    )
    height = top + 2 * tall + gap + _MARGIN
    return canvas.drawing(width, height, "The six schemes of a Blox block", told, "bloxdb-schemes")


def _left(stage: int) -> float:
    return _MARGIN + _GUTTER + stage * _PERIOD


def _pixels(stage: int) -> str:
    return f"{IMAGE_SIZE >> stage}×{IMAGE_SIZE >> stage}"


def _stage(canvas: Canvas, top: float, stage: int, block: BlockKind) -> None:
    """The block of a stage, and what says which it is."""
    x = _left(stage)
    ops = {"op1": block.op1, "op2": block.op2 or ""}
    draw_block(canvas, block.scheme, ops, x + _PANEL / 2, top + _HEADER, f"stage{stage + 1}.")
    canvas.text(x + _PANEL - 9, top + 14, block.scheme, 12, anchor="end", fill="faint")


def _stage_in_words(stage: int, block: BlockKind) -> str:
    return (
        f"Stage {stage + 1}, {STEM_CHANNELS << stage} channels of {_pixels(stage)}: {block.scheme}, "
        f"{WORDS[block.scheme].format(op1=block.op1, op2=block.op2)}."
    )


def _in_words(cost: Cost) -> str:
    return f"{cost.flops / 1e6:.1f} MFLOPs, {cost.params / 1e6:.2f} M parameters"


def _frame(canvas: Canvas, top: float, tall: float, graph_height: float = HEIGHT) -> float:
    """What every network has: panels of stages, stem, reductions, head; gives where it ends."""
    first, last = top + _HEADER, top + _HEADER + graph_height
    for stage in range(STAGES):
        x = _left(stage)
        canvas.box(x, top, _PANEL, tall, fill="panel", radius=6)
        canvas.text(x + 9, top + 14, f"stage {stage + 1}", 14, anchor="start", bold=True)
        canvas.text(
            x + 9,
            top + 31,
            f"{STEM_CHANNELS << stage} ch, {_pixels(stage)}",
            12,
            anchor="start",
            fill="faint",
        )
    for stage in range(STAGES + 1):
        x = _left(stage) - _GUTTER / 2
        begin = last if stage else last - 42
        came = f"M {_left(stage - 1) + _PANEL / 2} {last} L {x - 6} {last} Q {x} {last} {x} {last - 6}"
        goes = f"L {x} {first + 6} Q {x} {first} {x + 6} {first} L {_left(stage) + _PANEL / 2} {first}"
        if stage == STAGES:
            goes = f"L {x} {first - 24}"
        source = f"stage{stage}.out" if stage else "input"
        target = f"stage{stage + 1}.x" if stage < STAGES else "output"
        middle = "stem" if not stage else f"stage{stage}.reduction"
        canvas.path(
            f"{came if stage else f'M {x} {begin}'} {goes}", stroke="wire", stroke_width=1.6,
            data_from=source, data_to=target, data_through=middle,
        )  # fmt: skip
        if stage == STAGES:
            canvas.path(f"M {x} {first - 30} L {x - 4} {first - 22} L {x + 4} {first - 22} Z", fill="wire")
            _fixed(canvas, x, (first + last) / 2 - 22, 84, "reduction", middle)
            _fixed(canvas, x, (first + last) / 2 - 22 - 10 - 48, 48, "head", "head")
        elif stage:
            _fixed(canvas, x, (first + last) / 2 - 42, 84, "reduction", middle)
        else:
            canvas.text(x, last - 18, "image", 12, up=True, fill="faint")
            _fixed(canvas, x, last - 42 - 10 - 48, 48, "stem", middle)
    return top + tall + _MARGIN + (0 if graph_height == HEIGHT else 10)


def _fixed(canvas: Canvas, x: float, y: float, tall: float, words: str, node: str) -> None:
    """A part that all architectures have, written upwards."""
    canvas.box(x - 10, y, 20, tall, fill="paper", stroke="wire", stroke_width=1.2, radius=4, data_node=node)
    canvas.text(x, y + tall / 2, words, 12, up=True)


def _bars(canvas: Canvas, x: float, y: float, part: Cost, total: Cost) -> None:
    """The share of a block in FLOPs and parameters, as a bar and in percent."""
    for line, (name, some, whole) in enumerate(
        (("FLOPs", part.flops, total.flops), ("params", part.params, total.params))
    ):
        at, long = y + 6 + 17 * line, 32
        canvas.text(x + 9, at, name, 12, anchor="start", fill="faint")
        canvas.box(x + 61, at - 5, long, 10, fill="bar", radius=2)
        canvas.box(x + 61, at - 5, round(long * some / whole, 2), 10, fill="mark", radius=2, data_share=name)
        canvas.text(x + _PANEL - 7, at, f"{100 * some / whole:.0f} %", 12, anchor="end")


def _choices(canvas: Canvas, x: float, y: float, owner: str) -> None:
    """A block with everything that it can have."""
    half = len(OPS) * _STACKED / 2
    heights = {"x": 0.0, "op1": 48.0, "sum1": 100.0, "op2": 152.0, "sum2": 204.0, "out": HEIGHT + 64.0}
    found = {
        name: Box(
            x, y + at,
            BOX_WIDTH / 2 if name.startswith("op") else 8 * name.startswith("sum"),
            half if name.startswith("op") else 8 * name.startswith("sum"),
        )
        for name, at in heights.items()
    }  # fmt: skip
    solid = (("x", "op1"), ("sum1", "op2"), ("op2", "sum2"), ("sum2", "out"))
    dashed = (("op1", "sum1"), ("x", "sum1"), ("op1", "sum2"))
    for source, target in (*solid, *dashed):
        draw_wire(canvas, found, source, target, owner, dashed=(source, target) in dashed)
    for name, place in found.items():
        if not name.startswith("op"):
            draw_point(canvas, place, f"{owner}{name}")
            continue
        for at, op in enumerate(OP_COLOURS):
            middle = place.y - half + (at + 0.5) * _STACKED
            draw_op(canvas, Box(x, middle, BOX_WIDTH / 2, _STACKED / 2), op, f"{owner}{name}.{op}")
