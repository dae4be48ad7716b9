"""Headers: those that lie, those that are no YAML of ours, and how long they may be."""

from __future__ import annotations

from pathlib import Path

import pytest

from bloxdb import codecs
from bloxdb.codecs import Header, Table
from bloxdb.codecs.columns import BASE, BENCH, ENV
from bloxdb.codecs.header import dump, parse
from bloxdb.device_names import is_device_name
from bloxdb.errors import BloxFormatError
from bloxdb.files import as_name
from tests.codecs.strategies import peak_of


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"epochs: 10", b"epochs: 11", "list of 10 values, but the header says 11|cut off"),
        (b"epochs: 10", b"epochs: 9", "goes on|list of 10 values|cut off"),
        (b"epochs: 10", b"epochs: ten", "'epochs' is not a whole number"),
        (b"epochs: 10", b"epochs: 0", "epochs 0 is outside"),
        (b"seed: 3", b"seed: -3", "'seed' is not a whole number"),
        (b"seed: 3", b"speed: 3", "unknown key 'speed'"),
        (b"part: base", b"part: best", "neither 'base' nor 'ext'"),
        (b"dataset_type: training", b"dataset_type: static", "must not have 'seed'|cannot have column"),
        (b"format: custom", b"format: zip", "unknown format"),
        (b"version: 1", b"version: 2", "version is not 1"),
        (b"nodes: 2", b"nodes: 3", "search_space"),
        (b"val_top1: list[b", b"val_top1: list[q", "unknown column type"),
        (b"test_top1: b", b"test_top1: int #", "does not fit"),
        (b"train_time_s: int", b"train_time_s: float", "does not fit"),
        (b"- test_top1", b"- test_top7", "no column 'test_top7'"),
        (b"- test_top1", b"- val_top1", "named twice"),
        (b"- model_hash\n", b"", "lacks the column 'model_hash'|column_types"),
        (b"seed: 3", b"seed: 3\nseed: 3", "a key twice"),
        (b"---\nversion", b"+++\nversion", "no header"),
    ],
)
def test_headers_that_lie_are_found(golden: Path, old: bytes, new: bytes, message: str) -> None:
    data = (golden / "release-tiny" / "blox-base-3.blox").read_bytes()
    assert old in data
    with pytest.raises(BloxFormatError, match=message):
        codecs.decode(data.replace(old, new, 1))


def test_an_alias_bomb_in_the_header_is_refused() -> None:
    levels = "".join(f"k{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 16))
    data = f"---\nk0: &a0 [x, x, x]\n{levels}---\n".encode()
    assert len(data) < 1024
    assert peak_of(lambda: codecs.decode(data)) < 4_000_000


@pytest.mark.parametrize(
    "text",
    [
        "[" * 900,
        "&a [*a]",
        "a: &a [*a]",
        "!!python/object:os.system x",
        "a: !!int ''",
        "? [a]\n: b",
        "\x00",
        "{a: b",
        "a: *nobody",
    ],
)
def test_odd_yaml_is_an_error(text: str) -> None:
    with pytest.raises(BloxFormatError):
        codecs.decode(f"---\n{text}\n---\n".encode())


def test_a_header_longer_than_readers_look_is_refused() -> None:
    header = Header("training", BASE, 1, 2, "d" * 900, "base")
    with pytest.raises(BloxFormatError, match="1024 at the most"):
        codecs.encode(Table.from_rows(header, []), "csv")


def test_a_header_text_that_would_end_it_is_refused() -> None:
    header = Header("training", ("model_hash", "val_top1"), seed=0, epochs=1, dataset="a---b", part="base")
    with pytest.raises(BloxFormatError, match="contains '---'"):
        dump(header, "csv")


def test_the_longest_header_of_the_release_fits() -> None:
    texts = ["ü" * 300] * 12
    table = Table.from_rows(Header("env", ENV, seed=2**40), [["0" * 32, *texts]])
    parts, extensions = codecs.encode(table, "blox")
    assert len(extensions) == 12
    assert parse(parts[0]).header == table.header


def training(**changes: object) -> Header:
    facts = {"seed": 3, "epochs": 10, "dataset": "d", "part": "base", **changes}
    return Header("training", ("model_hash", "val_top1"), **facts)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("header", "stem"),
    [
        (Header("static", ("model_hash", "flops")), "blox-info"),
        (Header("env", ENV, seed=7), "blox-env-7"),
        (Header("benchmarking", BENCH, device="jetson-nano"), "blox-bench-jetson-nano"),
        (training(), "blox-base-3"),
        (training(part="ext", seed=0), "blox-ext-0"),
    ],
)
def test_a_file_is_named_after_what_it_holds(header: Header, stem: str) -> None:
    assert header.stem == stem


@pytest.mark.parametrize(("key", "least", "most"), [("seed", 0, 2**63 - 1), ("epochs", 1, 65_535)])
def test_numbers_of_a_header_have_their_limits(key: str, least: int, most: int) -> None:
    for fits in (least, most):
        assert getattr(training(**{key: fits}), key) == fits
    for wrong in (least - 1, most + 1):
        with pytest.raises(BloxFormatError, match=f"{key} {wrong} is outside {least} … "):
            training(**{key: wrong})


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"columns:\n", b"columns: all\nold:\n", "unknown key 'old'|'columns' is not a list of names"),
        (b"- model_hash\n", b"- [model_hash]\n", "'columns' is not a list of names"),
        (b"part: base", b"part: [base]", "'part' is not a plain text"),
        (b"seed: 3", b"seed: 3.0", "'seed' is not a whole number: '3.0'"),
        (b"val_top1: list", b"val_top2: list", "column_types do not give each column one type"),
        (b"train_time_s: int", b"train_time_s: [int]", "column_types do not give each column one type"),
    ],
)
def test_parts_of_a_header_have_their_types(golden: Path, old: bytes, new: bytes, message: str) -> None:
    data = (golden / "release-tiny" / "blox-base-3.blox").read_bytes()
    assert old in data
    with pytest.raises(BloxFormatError, match=message):
        codecs.decode(data.replace(old, new, 1))


@pytest.mark.parametrize("name", ["", " ", "a\nb", "\ud800", "\x1b[31m"])
def test_a_dataset_has_a_name_that_can_be_printed(name: str) -> None:
    with pytest.raises(BloxFormatError, match="is no name: a text that can be printed"):
        Header(
            "training", ("model_hash", "val_top1"), seed=0, epochs=1, dataset=name, part="base"
        ).__post_init__()


def test_a_column_of_epochs_needs_a_file_that_has_some() -> None:
    with pytest.raises(BloxFormatError, match="a static file cannot have column 'val_top1'"):
        Header("static", ("model_hash", "val_top1"))


@pytest.mark.parametrize("letter", ["a", "ä", "/"])
def test_a_device_is_no_longer_than_the_name_of_its_file(letter: str) -> None:
    length = len(as_name(letter).encode())
    longest = letter * (200 // length) + "a" * (200 % length)
    assert is_device_name(longest)
    assert not is_device_name(longest + "a")
    assert not is_device_name(longest + letter)
    assert dump(Header("benchmarking", BENCH, device=longest), "custom")


def plain(length: int) -> bytes:
    """The beginning of a file whose header has so many bytes."""
    facts = Header("training", BASE, 1, 2, "d", "base")
    data = codecs.encode(Table.from_rows(facts, []), "csv")[0][0].split(b"---\n")[1]
    return (
        b"---\n" + data.replace(b"dataset: d", b"dataset: " + b"d" * (1 + length - len(data) - 8)) + b"---\n"
    )


@pytest.mark.parametrize("ends", [b"\n", b"\r\n"])
def test_a_header_has_1024_bytes_at_the_most_however_its_lines_end(ends: bytes) -> None:
    longest = plain(1024)
    assert len(longest) == 1024
    data = longest.replace(b"\n", ends)
    assert parse(data).size == len(data)
    with pytest.raises(BloxFormatError, match="no header: .* in its first 1024 bytes"):
        parse(plain(1025).replace(b"\n", ends))


def levels(depth: int) -> str:
    """YAML whose innermost text lies so deep."""
    return "[" * depth + "x" + "]" * depth


@pytest.mark.parametrize(("depth", "fits"), [(15, True), (16, True), (17, False)])
def test_yaml_has_sixteen_levels_at_the_most(depth: int, fits: bool) -> None:
    with pytest.raises(BloxFormatError, match="not a YAML mapping" if fits else "aliases unfold"):
        parse(f"---\n{levels(depth)}\n---\n".encode())


@pytest.mark.parametrize(("nodes", "fits"), [(510, True), (511, True), (512, False)])
def test_yaml_has_512_nodes_at_the_most(nodes: int, fits: bool) -> None:
    tens, ones = divmod(nodes, 10)  # nine of each ten stand in the list that is named
    text = f"[&a [{', '.join('x' * 9)}], {', '.join(['*a'] * (tens - 1) + ['x'] * ones)}]"
    with pytest.raises(BloxFormatError, match="not a YAML mapping" if fits else "aliases unfold"):
        parse(f"---\n{text}\n---\n".encode())
