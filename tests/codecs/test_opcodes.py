"""One machine reads the pickles that are not trusted: every reader has its bounds and its sentences."""

from __future__ import annotations

import pickletools
import struct
from collections.abc import Callable
from typing import Any

import pytest

from bloxdb import codecs
from bloxdb.codecs import odd_pickle, opcodes
from bloxdb.errors import BloxFormatError
from bloxdb.release import unpickling
from tests.codecs.strategies import HEAD


def odd(data: bytes) -> Any:
    """A release file's reader, which the first opcode hands over to the one of odd pickles."""
    return codecs.decode(HEAD + data[:2] + b"N0" + data[2:])


def results(data: bytes) -> Any:
    """The reader of training results."""
    return [unpickling.build(data, span, lambda key, value, at: None) for span in unpickling.scan(data)]


READERS = pytest.mark.parametrize("read", [odd, results])


@READERS
@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        (b"(" * (opcodes.MARKS_AT_MOST + 1), "too much is nested"),
        (b"N" * (opcodes.STACK_AT_MOST + 1), "too much is nested"),
        (b"\x8a\x11" + b"\x01" * 17, "a whole number of more than 16 bytes"),
        (b"X" + struct.pack("<I", 2**31), "cut off"),
        (b"\x8d" + struct.pack("<Q", 2**63 - 1), "cut off"),
        (b"cos\nsystem", "cut off"),
        (b"\x8c\x01\xff", "not UTF-8"),
        (b"h\x07", "never remembered"),
        (b"j\xff\xff\xff\xff", "never remembered"),
        (b"e", "a mark is missing"),
        (b"a", "a value is missing"),
        (b"(\x94", "a value is missing"),
        (b"(Nq\x00N\x94t", "numbers of its own here"),
        (b"(N\x94Nq\x00t", "numbers of its own here"),
        (b"(Nr\x00\x00\x00\x00N\x94h\x01t", "numbers of its own here"),
        (b"\x85", "a value is missing"),
        (b"NNa", "there is no list to append to"),
        (b"NN\x93", "the name of a class is a text"),
        (b"NN", "does not end with one object"),
        (b"N(", "does not end with one object"),
        (b"L1L\n", "opcode LONG does not belong"),
        (b"V1\n", "opcode UNICODE does not belong"),
        (b"F1\n", "opcode FLOAT does not belong"),
    ],
)  # fmt: skip
def test_every_reader_has_the_same_bounds_and_sentences(
    read: Callable[[bytes], Any], body: bytes, sentence: str
) -> None:
    with pytest.raises(BloxFormatError, match=sentence) as info:
        read(b"\x80\x04" + body + b".")
    assert info.value.offset is not None


WITHIN = [
    b"(" * opcodes.MARKS_AT_MOST + b"t" * opcodes.MARKS_AT_MOST,
    b"(" + b"N" * opcodes.STACK_AT_MOST + b"t",
    b"\x8a\x10" + b"\x01" * 16,
    b"]r\xff\xff\xff\xff",  # a table of so many places would be of 32 GB
]


@pytest.mark.parametrize("body", WITHIN)
def test_what_is_within_the_bounds_is_read(body: bytes) -> None:
    assert len(results(b"\x80\x04" + body + b".")) == 1
    with pytest.raises(BloxFormatError, match="the pickle does not hold a list of rows"):
        odd(b"\x80\x04" + body + b".") if body[0] != b"]"[0] else odd(b"\x80\x04" + body + b"\x85.")


def test_every_opcode_says_where_its_argument_ends() -> None:
    """What `pickletools` reads of an opcode's argument is what the machine takes for it."""
    arguments = {
        pickletools.UP_TO_NEWLINE: b"1\n",
        pickletools.TAKEN_FROM_ARGUMENT1: b"\x031\n2",
        pickletools.TAKEN_FROM_ARGUMENT4: b"\3\0\0\x001\n2",
        pickletools.TAKEN_FROM_ARGUMENT4U: b"\3\0\0\x001\n2",
        pickletools.TAKEN_FROM_ARGUMENT8U: b"\3\0\0\0\0\0\0\x001\n2",
    }
    for opcode in pickletools.opcodes:
        given = b"" if opcode.arg is None else arguments.get(opcode.arg.n) or b"\2" * opcode.arg.n
        if opcode.name in ("GLOBAL", "INST"):
            given *= 2
        _, end = opcodes._argument(opcode.code.encode("latin-1") + given + b"and more\n", 0)
        assert end == 1 + len(given), opcode.name


def test_only_what_is_asked_for_again_is_kept() -> None:
    data = b"\x80\x04](]\x94]\x94]\x94h\x01e."
    [span] = unpickling.scan(data)
    assert span.wanted == {1}
    [found] = results(data)
    assert found[1] is found[3]


def test_the_machines_know_what_they_say_they_know() -> None:
    plain = set(opcodes.steps({}))
    assert set(odd_pickle._Odd.STEPS) > plain
