"""The YAML header that opens every release file.

A file starts with the line ``---``, a mapping, the line ``---``, and then at once its body. The original
reader looks for the second ``---`` in the first 1,024 bytes only.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from bloxdb.codecs.columns import COLUMNS, is_list
from bloxdb.codecs.others import refuse_others
from bloxdb.device_names import DEVICE_NAMES, is_device_name
from bloxdb.errors import BloxFormatError, one_line
from bloxdb.files import as_name
from bloxdb.measures import EPOCHS, SEEDS
from bloxdb.space.cells import LIMITS, NODES, OPS, STAGES, nested
from bloxdb.space.keys import KEY

VERSION = 1
"""The version of the release format; there is no other."""

MAX_BYTES = 1024
"""How far the original reader looks for the end of a header."""

LOOK = 2 * MAX_BYTES
"""How far `parse` looks: where each line of a header has one byte more, it is still found."""

MAX_EPOCHS = EPOCHS[-1]
"""The largest number of epochs."""

_HEADER = re.compile(rb"(?:\xef\xbb\xbf)?---\r?\n(?P<text>(?:.*?\n)?)---\r?\n", re.DOTALL)
_LINES = len("---\n---\n")
_MAX_DEPTH = 16
_MAX_NODES = 512  # a whole header has some 100 YAML nodes; aliases count each time they are used
_NATURAL = re.compile(r"0|[1-9][0-9]{0,17}")
_KEYS = {
    "static": (),
    "training": ("seed", "epochs", "dataset", "part"),
    "env": ("seed",),
    "benchmarking": ("device",),
}
_CELL_SHAPE = nested(LIMITS)


@dataclass(frozen=True)
class Header:
    """What a release file says of itself, without its format.

    Attributes
    ----------
    dataset_type
        ``'static'``, ``'training'``, ``'env'`` or ``'benchmarking'``.
    columns
        Names in file order; ``'model_hash'`` is among them.
    seed
        The seed of the runs; of training and env files only.
    epochs, dataset, part
        What training files alone have; `part` is ``'base'`` or ``'ext'``. Every list has `epochs` values.
    device
        The device of a benchmarking file; `bloxdb.device_names` says what it may be.
    """

    dataset_type: str
    columns: tuple[str, ...]
    seed: int | None = None
    epochs: int | None = None
    dataset: str | None = None
    part: str | None = None
    device: str | None = None

    def __post_init__(self) -> None:
        if self.dataset_type not in _KEYS:
            raise BloxFormatError(f"dataset_type {self.dataset_type!r} is none of {', '.join(_KEYS)}")
        for key in ("seed", "epochs", "dataset", "part", "device"):
            expected = key in _KEYS[self.dataset_type]
            if expected != (getattr(self, key) is not None):
                verb = "needs" if expected else "must not have"
                raise BloxFormatError(f"the header of a {self.dataset_type} file {verb} {key!r}")
        self._check_columns()
        self._check_keys()

    def _check_columns(self) -> None:
        for name in self.columns:
            if name not in COLUMNS:
                raise BloxFormatError(f"there is no column {name!r} in a release file")
            if is_list(name) and self.epochs is None:
                raise BloxFormatError(f"a {self.dataset_type} file cannot have column {name!r}")
        if len(set(self.columns)) != len(self.columns):
            raise BloxFormatError("a column is named twice in the header")
        if KEY not in self.columns:
            raise BloxFormatError(f"the header lacks the column {KEY!r}, the key of each row")

    def _check_keys(self) -> None:
        if self.seed is not None and self.seed not in SEEDS:
            raise BloxFormatError(f"seed {self.seed} is outside 0 … 2^63 - 1")
        if self.epochs is not None and not 1 <= self.epochs <= MAX_EPOCHS:
            raise BloxFormatError(f"epochs {self.epochs} is outside 1 … {MAX_EPOCHS}")
        if self.part not in (None, "base", "ext"):
            raise BloxFormatError(f"part {self.part!r} is neither 'base' nor 'ext'")
        if self.dataset is not None and not (self.dataset.strip() and self.dataset.isprintable()):
            raise BloxFormatError(
                f"the header's dataset {self.dataset[:80]!a} is no name: a text that can be printed"
            )
        if self.device is not None and not is_device_name(self.device):
            raise BloxFormatError(f"device {self.device[:80]!r} is no name for a device: {DEVICE_NAMES}")

    @property
    def stem(self) -> str:
        """The file name that the release gives such a file, without its extension; of a device `as_name`."""
        if self.dataset_type == "static":
            return "blox-info"
        if self.dataset_type == "env":
            return f"blox-env-{self.seed}"
        if self.dataset_type == "benchmarking":
            return f"blox-bench-{as_name(self.device or '')}"
        return f"blox-{self.part}-{self.seed}"


@dataclass(frozen=True)
class FileHeader:
    """A parsed header: `header`, and what belongs to the file's format.

    `format` is ``'custom'``, ``'pickle'`` or ``'csv'``; `column_types` is there for ``'custom'``;
    `size` is the length in bytes, where the body begins.
    """

    header: Header
    format: str
    column_types: Mapping[str, str] | None
    size: int


PLAIN_DEVICE = re.compile(r"[\w.+-]+")
"""Names of devices that we give, and that are known for such in the name of a file, whatever is in it."""


def search_space() -> dict[str, Any]:
    """What every header says of the search space: shape, nodes, stages and operations."""
    cell = [list(part) for part in _CELL_SHAPE]
    # one list three times: YAML then writes an anchor and two aliases, as the original does
    return {"shape": [cell] * STAGES, "nodes": NODES, "stages": STAGES, "ops": list(OPS)}


def dump(header: Header, format_name: str, column_types: Mapping[str, str] | None = None) -> bytes:
    """The bytes of a header, as the original writes them.

    Raises
    ------
    BloxFormatError
        It is longer than the original reader looks, or a text in it contains ``---``.
    """
    mapping: dict[str, Any] = {
        "version": VERSION,
        "search_space": search_space(),
        "dataset_type": header.dataset_type,
        "columns": list(header.columns),
    }
    for key in _KEYS[header.dataset_type]:
        mapping[key] = getattr(header, key)
    mapping["format"] = format_name
    if column_types is not None:
        mapping["column_types"] = dict(column_types)
    text = yaml.safe_dump(mapping, sort_keys=False, allow_unicode=True)
    data = f"---\n{text}---\n".encode()
    if data.count(b"---") != 2:
        raise BloxFormatError("a text in the header contains '---', which would end it early")
    if len(data) > MAX_BYTES:
        raise BloxFormatError(
            f"the header would have {len(data)} bytes, and readers look at {MAX_BYTES} at the most: "
            "use a shorter dataset or device name"
        )
    return data


def parse(data: bytes) -> FileHeader:
    """Read the header at the start of a file; `data` holds at least its first `LOOK` bytes.

    A byte order mark, and lines that end in ``\\r\\n``, are what editors make of a `.csv` file.

    Raises
    ------
    BloxFormatError
        There is none, or it is not a header of a release file.
    """
    match = _HEADER.match(data[:LOOK])
    text = match["text"].replace(b"\r\n", b"\n") if match else b""
    if match is None or len(text) + _LINES > MAX_BYTES:
        refuse_others(data)
        raise BloxFormatError(
            f"no header: a release file starts with '---' and has a second '---' in its first "
            f"{MAX_BYTES} bytes"
        )
    mapping = _load(text)
    size = match.end()
    was_edited = size != len(text) + _LINES
    known = {"version", "search_space", "dataset_type", "columns", "format", "column_types"}
    unknown = set(mapping) - known - {key for keys in _KEYS.values() for key in keys}
    if unknown:
        raise BloxFormatError(f"the header has an unknown key {min(unknown)!r}")
    _check_version(mapping)
    header = Header(
        dataset_type=_text(mapping, "dataset_type") or "",
        columns=_texts(mapping, "columns"),
        seed=_natural(mapping, "seed"),
        epochs=_natural(mapping, "epochs"),
        dataset=_text(mapping, "dataset"),
        part=_text(mapping, "part"),
        device=_text(mapping, "device"),
    )
    column_types = mapping.get("column_types")
    if column_types is not None and (
        not isinstance(column_types, dict)
        or not all(isinstance(value, str) for value in column_types.values())
        or set(column_types) != set(header.columns)
    ):
        raise BloxFormatError("the header's column_types do not give each column one type")
    format_name = _text(mapping, "format") or ""
    if was_edited and format_name != "csv":
        raise BloxFormatError(
            "the header was changed by an editor or by git, so the bytes after it are damaged too; get the "
            "file again"
        )
    return FileHeader(header, format_name, column_types, size)


def _check_version(mapping: dict[str, Any]) -> None:
    if mapping.get("version") != str(VERSION):
        raise BloxFormatError(f"the header's version is not {VERSION}, the only one that is known")
    shape = [[[str(n) for n in part] for part in _CELL_SHAPE]] * STAGES
    expected = {"shape": shape, "nodes": str(NODES), "stages": str(STAGES), "ops": list(OPS)}
    if mapping.get("search_space") != expected:
        raise BloxFormatError("the header's search_space is not that of Blox")


def _load(text: bytes) -> dict[str, Any]:
    """YAML as dicts, lists and plain texts: no tags, no types, no unbounded aliases."""
    try:
        node = yaml.compose(text.decode("utf-8"), Loader=yaml.BaseLoader)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError) as error:
        raise BloxFormatError(f"the header is not YAML in UTF-8: {one_line(error, 200)}") from error
    budget = [_MAX_NODES]
    mapping = _plain(node, budget)
    if not isinstance(mapping, dict):
        raise BloxFormatError("the header is not a YAML mapping")
    return mapping


def _plain(node: yaml.Node | None, budget: list[int], depth: int = 0) -> Any:
    budget[0] -= 1
    if budget[0] < 0 or depth > _MAX_DEPTH:
        raise BloxFormatError("the header's YAML aliases unfold to more than a header can hold")
    if isinstance(node, yaml.SequenceNode):
        return [_plain(child, budget, depth + 1) for child in node.value]
    if isinstance(node, yaml.MappingNode):
        mapping: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = _plain(key_node, budget, depth + 1)
            if not isinstance(key, str) or key in mapping:
                raise BloxFormatError("the header has a key twice, or one that is not a text")
            mapping[key] = _plain(value_node, budget, depth + 1)
        return mapping
    return node.value if node is not None else None


def _text(mapping: dict[str, Any], key: str) -> str | None:
    value = mapping.get(key)
    if value is not None and not isinstance(value, str):
        raise BloxFormatError(f"the header's {key!r} is not a plain text")
    return value


def _texts(mapping: dict[str, Any], key: str) -> tuple[str, ...]:
    value = mapping.get(key)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BloxFormatError(f"the header's {key!r} is not a list of names")
    return tuple(value)


def _natural(mapping: dict[str, Any], key: str) -> int | None:
    value = _text(mapping, key)
    if value is None:
        return None
    if not _NATURAL.fullmatch(value):
        raise BloxFormatError(f"the header's {key!r} is not a whole number: {value[:40]!r}")
    return int(value)


def header_dict(header: Header) -> dict[str, Any]:
    """What a file says of itself, as a dict with the keys of the file."""
    pairs = {
        "version": VERSION,
        "search_space": search_space(),
        "dataset_type": header.dataset_type,
        "columns": list(header.columns),
        **{key: getattr(header, key) for key in _KEYS[header.dataset_type]},
    }
    return {name: value for name, value in pairs.items() if value is not None}
