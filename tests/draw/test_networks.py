"""What drawings show, compared with the search space, and how they look to those who see otherwise."""

from __future__ import annotations

import itertools
import re
from xml.etree import ElementTree

import pytest

from bloxdb import draw, space
from bloxdb.draw.blocks import FORMULAS, WIRES, WORDS
from bloxdb.draw.palette import DARK, LIGHT, OP_COLOURS, OP_INKS
from bloxdb.draw.svg import THEMES
from bloxdb.errors import InvalidArchError, QueryError
from tests.draw.helpers import SVG, Parsed

# each block is once in each stage
ARCHS = [at + 45 * ((7 * at + 3) % 45) + 2025 * ((11 * at + 5) % 45) for at in range(space.NUM_BLOCKS)]
DRAWINGS = {
    **{f"arch {index}": draw.arch(index) for index in ARCHS[::9]},
    "with costs": draw.arch(ARCHS[4], costs=True),
    "schemes": draw.schemes(),
    "supernet": draw.supernet(),
}


def in_the_space(index: int) -> tuple[dict[str, str], set[tuple[str, str]]]:
    """Operations and wires of an architecture, those of a stage numbered as they come, but side by side by name.

    Which of two side by side comes first in a cell means nothing; a block has them in the order of `space.OPS`.
    """
    graph = space.graph(index)
    names, ops = [], {}
    for name in graph.names:
        short, _, op = name.partition(":")
        if op:
            stage = short.partition(".")[0]
            short = f"{stage}.op{1 + sum(other.startswith(stage) for other in ops)}"
            ops[short] = op
        names.append(short)
    for stage, block in enumerate(space.blocks_of(index), start=1):
        if block.scheme == "ST6":
            both = sorted((ops[f"stage{stage}.op{at}"] for at in (1, 2)), key=space.OPS.index)
            ops |= {f"stage{stage}.op{at}": op for at, op in enumerate(both, start=1)}
    return ops, {(names[a], names[b]) for a, b in graph.edges}


def test_each_block_is_tried_in_each_stage() -> None:
    for stage in range(space.STAGES):
        assert {space.block_indices(index)[stage] for index in ARCHS} == set(range(space.NUM_BLOCKS))


@pytest.mark.parametrize("index", ARCHS)
def test_a_drawing_is_the_graph_of_the_architecture(index: int) -> None:
    parsed = Parsed(draw.arch(index, costs=True))
    ops, wires = in_the_space(index)
    assert parsed.ops == ops
    kept = {"input", "output", *ops, *(f"stage{stage}.reduction" for stage in (1, 2, 3))}
    assert parsed.between(kept) == wires
    assert all(op in parsed.texts for op in ops.values())
    assert [block.scheme for block in space.blocks_of(index)] == [t for t in parsed.texts if t in WIRES]


@pytest.mark.parametrize("index", ARCHS)
def test_nothing_covers_a_box_and_all_is_on_the_paper(index: int) -> None:
    parsed = Parsed(draw.arch(index, costs=True))
    boxes = list(parsed.boxes.items())
    for at, (name, box) in enumerate(boxes):
        assert 0 <= box.x < box.x + box.width <= parsed.width, name
        assert 0 <= box.y < box.y + box.height <= parsed.height, name
        assert not [other for other, its in boxes[at + 1 :] if box.meets(its)], name


@pytest.mark.parametrize("index", ARCHS[::5])
def test_shares_of_costs_are_those_of_the_space(index: int) -> None:
    shapes = ElementTree.fromstring(draw.arch(index, costs=True))
    bars = [shape for shape in shapes if "data-share" in shape.attrib]
    whole = next(float(s.attrib["width"]) for s in shapes if s.attrib.get("class") == "bloxdb-f-bar")
    total = space.arch_cost(index)
    told = [text for text in Parsed(draw.arch(index, costs=True)).texts if text.endswith(" %")]
    for stage, block in enumerate(space.blocks_of(index)):
        smallest = (
            index - 45**stage * block.index
        )  # the same with block 0 there: differences of costs are exact
        for kind, name in enumerate(("flops", "params")):
            of_blocks = space.all_costs()[:, kind]
            table = space.costs.block_costs()
            assert (
                of_blocks[index] - of_blocks[smallest]
                == table[block.index, stage, kind] - table[0, stage, kind]
            )
            share = table[block.index, stage, kind] / getattr(total, name)
            bar = bars[2 * stage + kind]
            assert float(bar.attrib["width"]) == pytest.approx(share * whole, abs=0.01)
            assert told[2 * stage + kind] == f"{100 * share:.0f} %"


def test_costs_are_shown_on_demand() -> None:
    assert not [text for text in Parsed(draw.arch(7)).texts if "%" in text or "FLOPs" in text]
    assert "278.5 MFLOPs, 2.92 M parameters" in Parsed(draw.arch(0, costs=True)).texts


@pytest.mark.parametrize("key", [53215, "53215", space.arch_vec(53215), space.model_hash(53215)])
def test_any_key_draws_the_same(key: object) -> None:
    assert draw.arch(key) == draw.arch(53215)


def test_what_names_no_architecture_is_told() -> None:
    with pytest.raises(InvalidArchError, match="an architecture index is in 0"):
        draw.arch(91_125)


@pytest.mark.parametrize("theme", ["black", None, 1])
@pytest.mark.parametrize("drawn", [lambda theme: draw.arch(0, theme=theme), lambda theme: draw.schemes(theme=theme),
                                   lambda theme: draw.supernet(theme=theme)])  # fmt: skip
def test_a_theme_is_one_of_three(drawn: object, theme: object) -> None:
    with pytest.raises(QueryError, match="choose one of: auto, light, dark"):
        drawn(theme)  # type: ignore[operator]


def test_schemes_are_wired_as_blocks_of_the_space_are() -> None:
    parsed = Parsed(draw.schemes())
    for scheme in WIRES:
        block = next(block for block in space.BLOCKS if block.scheme == scheme)
        _, wires = in_the_space(block.index)  # with block 0 in the other stages
        inner = {
            (a.replace("stage1.", ""), b.replace("stage1.", ""))
            for a, b in wires
            if "stage2" not in b and "stage2" not in a and "stage3" not in a + b and b != "output"
        }
        ops = {f"{scheme}.op1", f"{scheme}.op2"} & set(parsed.boxes)
        ends = {f"{scheme}.x": "input", f"{scheme}.out": "reduction"}
        drawn = {
            tuple(ends.get(node, node.replace(f"{scheme}.", "")) for node in wire)
            for wire in parsed.between({*ops, *ends})
        }
        assert drawn == inner, scheme
        assert f"{sum(block.scheme == scheme for block in space.BLOCKS)} blocks" in parsed.texts
        assert set(FORMULAS[scheme]) <= set(parsed.texts)
    assert list(WIRES) == list(FORMULAS) == list(WORDS) == sorted({block.scheme for block in space.BLOCKS})


def test_the_supernet_has_all_that_a_block_can_have() -> None:
    parsed = Parsed(draw.supernet())
    for stage in (1, 2, 3):
        for node in ("op1", "op2"):
            assert [parsed.ops[f"stage{stage}.{node}.{op}"] for op in space.OPS] == list(space.OPS)
    inner = {(a.split(".")[1], b.split(".")[1]) for a, b in parsed.wires if a.startswith("stage1") and b.startswith("stage1.")
             and "reduction" not in b}  # fmt: skip
    assert inner >= set(WIRES["ST5"])
    assert "45 blocks in each of 3 stages: 91,125 architectures" in parsed.texts


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_screen_reader_is_told_what_it_is(name: str) -> None:
    root = ElementTree.fromstring(DRAWINGS[name])
    title, description = root[0], root[1]
    assert root.attrib["role"] == "img"
    assert (title.tag, description.tag) == (f"{SVG}title", f"{SVG}desc")
    assert root.attrib["aria-labelledby"].split() == [title.attrib["id"], description.attrib["id"]]
    assert title.text
    assert len(description.text or "") > 40
    assert not [shape for shape in root if shape.tag == f"{SVG}image"]  # text is text


@pytest.mark.parametrize("index", ARCHS[::7])
def test_the_description_names_all_operations(index: int) -> None:
    told = ElementTree.fromstring(draw.arch(index))[1].text or ""
    for stage, block in enumerate(space.blocks_of(index), start=1):
        sentence = told.split(f"Stage {stage},")[1].split(".")[0]
        words = [word for word in re.findall(r"[a-z]+", sentence) if word in space.OPS]
        assert words == [op for op in (block.op1, block.op2) if op]


def lightness(colour: str) -> float:
    """Relative luminance, 0 … 1, as https://www.w3.org/TR/WCAG22/#dfn-relative-luminance defines it."""
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(a: str, b: str) -> float:
    dark, light = sorted((lightness(a), lightness(b)))
    return (light + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("colours", [LIGHT, DARK])
def test_texts_and_wires_stand_out(colours: dict[str, str]) -> None:
    for ground in ("paper", "panel"):
        assert contrast(colours["ink"], colours[ground]) > 7
        assert contrast(colours["faint"], colours[ground]) > 4.5
        assert contrast(colours["wire"], colours[ground]) > 4.5
    assert contrast(colours["mark"], colours["bar"]) > 1.9
    assert set(colours) == set(LIGHT)


def test_operations_differ_without_colour() -> None:
    for op, colour in OP_COLOURS.items():
        assert contrast(colour, OP_INKS[op]) > 4.5
    shades = sorted(lightness(colour) for colour in OP_COLOURS.values())
    assert min(b - a for a, b in itertools.pairwise(shades)) > 0.12


@pytest.mark.parametrize("theme", THEMES)
def test_a_theme_changes_colours_and_nothing_else(theme: str) -> None:
    drawing = draw.arch(53215, costs=True, theme=theme)
    assert ("prefers-color-scheme" in drawing) == (theme == "auto")
    paper = (DARK if theme == "dark" else LIGHT)["paper"]
    assert f'fill="{paper}" class="bloxdb-f-paper"' in drawing
    same = Parsed(draw.arch(53215, costs=True))
    assert Parsed(drawing).texts == same.texts
    assert Parsed(drawing).boxes == same.boxes


def test_an_automatic_drawing_names_each_colour_that_changes() -> None:
    drawing = draw.arch(53215, costs=True)
    style = ElementTree.fromstring(drawing)[2].text or ""
    for name in set(re.findall(r"bloxdb-([fs]-\w+)", drawing)):
        assert f".bloxdb-{name}{{" in style
