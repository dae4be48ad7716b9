"""The reader of training results: plain data is read, anything else is refused and never run."""

from __future__ import annotations

import collections
import os
import pickle
import pickletools
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bloxdb import BloxFormatError
from bloxdb.release.unpickling import Arguments, build, scan

END = b"."
TEXT = b"\x8c\x02os\x8c\x06system"


def read(data: bytes) -> list[Any]:
    """What the pickles of a file hold, the outermost dicts with their entries."""
    found: list[Any] = []
    for span in scan(data):
        entries: dict[Any, Any] = {}

        def take(key: Any, value: Any, at: int, into: dict[Any, Any] = entries) -> None:
            into[key] = value

        made = build(data, span, take)
        found.append({**made, **entries} if type(made) is dict else made)
    return found


plain = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False)
    | st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    lambda inner: (
        st.lists(inner, max_size=5)
        | st.lists(inner, max_size=5).map(tuple)
        | st.dictionaries(
            st.text(st.characters(exclude_categories=["Cs"])) | st.integers(0, 300), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(values=st.lists(plain, min_size=1, max_size=3), protocol=st.integers(2, 5))
def test_plain_data_is_read_as_pickle_reads_it(values: list[Any], protocol: int) -> None:
    assert read(b"".join(pickle.dumps([value], protocol) for value in values)) == [
        [value] for value in values
    ]


@given(value=st.dictionaries(st.text("abc"), plain, max_size=5), protocol=st.integers(2, 5))
def test_ordered_dicts_become_dicts(value: dict[str, Any], protocol: int) -> None:
    assert read(pickle.dumps([collections.OrderedDict(value)], protocol)) == [[value]]


def test_many_entries_and_shared_values_are_read() -> None:
    shared = [1.5]
    value = {f"key {i}": {"a": shared, "b": shared, "c": [i]} for i in range(2_500)}
    assert read(pickle.dumps(value)) == [value]


def test_the_arguments_are_plain_fields() -> None:
    data = b"\x80\x04\x8c\x12blox.training.args\x8c\x04Args\x93)\x81}(\x8c\x04seedK\x03ub."
    [found] = read(data)
    assert type(found) is Arguments
    assert found.fields == {"seed": 3}


class Opens:
    """Makes a folder where it is unpickled."""

    def __init__(self, place: Path) -> None:
        self.place = place

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.place),)


@pytest.mark.parametrize("protocol", range(2, 6))
def test_a_call_is_refused_by_name_and_not_made(tmp_path: Path, protocol: int) -> None:
    data = pickle.dumps({"a": Opens(tmp_path / "made")}, protocol)
    with pytest.raises(BloxFormatError, match=r"it names (posix|nt)\.mkdir, .* nothing of the file was run"):
        read(data)
    pickle.loads(data)  # so it would have been
    assert (tmp_path / "made").is_dir()


KNOWN = {
    "PROTO",
    "FRAME",
    "STOP",
    "MARK",
    "NONE",
    "NEWTRUE",
    "NEWFALSE",
    "BININT",
    "BININT1",
    "BININT2",
    "BINFLOAT",
}
KNOWN |= {
    "EMPTY_LIST",
    "EMPTY_DICT",
    "EMPTY_TUPLE",
    "TUPLE",
    "TUPLE1",
    "TUPLE2",
    "TUPLE3",
    "APPEND",
    "APPENDS",
}
KNOWN |= {"SETITEM", "SETITEMS", "MEMOIZE", "BINPUT", "LONG_BINPUT", "BINGET", "LONG_BINGET", "LONG1"}
KNOWN |= {
    "SHORT_BINUNICODE",
    "BINUNICODE",
    "BINUNICODE8",
    "GLOBAL",
    "STACK_GLOBAL",
    "REDUCE",
    "NEWOBJ",
    "BUILD",
    "BINBYTES",
    "SHORT_BINBYTES",
    "BINBYTES8",
}
OTHERS = [opcode for opcode in pickletools.opcodes if opcode.name not in KNOWN]


@pytest.mark.parametrize("opcode", OTHERS, ids=lambda opcode: opcode.name)
def test_every_other_opcode_is_refused_by_name(opcode: pickletools.OpcodeInfo) -> None:
    data = b"\x80\x04(K\x01K\x02" + opcode.code.encode("latin-1") + b"\x01\n\x01\n" + END
    with pytest.raises(BloxFormatError, match=f"opcode {opcode.name} does not belong"):
        read(data)


ORDERED = b"\x8c\x0bcollections\x8c\x0bOrderedDict\x93"
ARGS = b"\x8c\x12blox.training.args\x8c\x04Args\x93"


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (TEXT + b"\x93", r"names os\.system"),
        (b"cos\nsystem\n", r"names os\.system"),
        (b"cbuiltins\neval\n", r"names builtins\.eval"),
        (b"ccollections\nOrderedDict.fromkeys\n", r"names collections\.OrderedDict\.fromkeys"),
        (b"\x8c\x0bcollections\x8c\x0bdefaultdict\x93", r"names collections\.defaultdict"),
        (b"ccopyreg\n_reconstructor\n", r"names copyreg\._reconstructor"),
        (b"cos\n\x1b[31m\n", r"names os\.\\x1b\[31m"),  # no control character reaches a terminal
        (b"K\x01\x8c\x01a\x93", "name of a class is a text"),
        (ORDERED + b"]\x85R", "only an empty"),
        (ORDERED + b"]R", "the arguments of a call are a tuple"),
        (ORDERED + b")\x81", "only blox.training.args.Args is made by NEWOBJ"),
        (ARGS + b")R", "only an empty"),
        (ARGS + b"K\x01\x85\x81", "only blox.training.args.Args is made"),
        (b"\x8c\x01a)R", "only an empty"),
        (ORDERED + b"}b", "only the fields"),
        (ORDERED + b")R}b", "only the fields"),
        (ARGS + b"}b", "only the fields"),
        (ARGS + b")\x81]b", "only the fields"),
        (ARGS + b")\x81}b}b", "only the fields"),
        (b"]}b", "only the fields"),
        (ARGS + b")\x81\x8c\x01aK\x01s", "no dict to fill"),
        (ARGS + b")\x81K\x01a", "no list to append to"),
        (b"]K\x01K\x02s", "no dict to fill"),
        (b"}(K\x01u", "no dict to fill"),
        (b"}]K\x01s", "a key of a dict"),
        (b"}" + b")" + b"\x85" * 5_000 + b"K\x01s", "a key of a dict"),  # whose hash would overflow the stack
        (b"u", "a mark is missing"),
        (b"a", "a value is missing"),
        (b"(a", "a value is missing"),
        (b"h\x07", "never remembered"),
        (b"j\xff\xff\xff\xff", "never remembered"),
        (b"}K\x01K\x02s\x85", "within something that was made after it"),
        (b"K\x01K\x02", "does not end with one object"),
        (b"", "does not end with one object"),
        (b"(" * 33, "too much is nested"),
        (b"]" * 10_001, "too much is nested"),
        (b"\x8a\x11" + b"\x01" * 17, "more than 16 bytes"),
        (b"\x8c\x01\xff", "not UTF-8"),
    ],
)  # fmt: skip
def test_what_is_no_plain_data_is_refused(body: bytes, sentence: str) -> None:
    with pytest.raises(BloxFormatError, match=sentence):
        read(b"\x80\x04" + body + END)


def test_numbers_in_the_memo_cost_nothing() -> None:
    assert read(b"\x80\x02]r\xff\xff\xff\xff.") == [[]]  # a table of them would be of 32 GB


@pytest.mark.parametrize("code", [b"X", b"\x8d"])
def test_texts_longer_than_the_file_are_cut_off(code: bytes) -> None:
    size = struct.pack("<I" if code == b"X" else "<Q", 2**31)
    with pytest.raises(BloxFormatError, match="cut off"):
        read(b"\x80\x04" + code + size + b"abc.")


def test_deep_nesting_ends_in_time_and_harms_nothing() -> None:
    [value] = read(b"\x80\x04" + b"]" * 9_000 + b"a" * 8_999 + END)
    assert type(value) is list
    assert len(value) == 1


@pytest.mark.parametrize("start", [b"abc", b"(K\x01", b"\x80\x01K\x01.", b"\x80\x06K\x01."])
def test_other_protocols_are_refused(start: bytes) -> None:
    with pytest.raises(BloxFormatError, match="protocol"):
        read(start)


def test_a_file_cut_off_anywhere_is_refused_and_never_half_read(golden: Path) -> None:
    data = (golden / "raw-results" / "results_25_30.pickle").read_bytes()
    whole = {span.end for span in scan(data)}
    for end in range(1, len(data)):
        if end not in whole:
            with pytest.raises(BloxFormatError, match="cut off"):
                list(scan(data[:end]))


@given(st.data())
def test_a_changed_byte_gives_data_or_a_sentence(data: st.DataObject) -> None:
    golden = Path(__file__).parents[1] / "data" / "golden" / "raw-results" / "results_25_30.pickle"
    content = bytearray(golden.read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        read(bytes(content))
    except BloxFormatError as error:
        assert error.offset is not None
