"""The opcodes of pickles, read without ever running anything: what every reader of untrusted pickles needs.

Numbers, texts, lists, tuples, dicts, marks and the memo are done here, within one set of bounds. What would
look something up, call it or set it goes to a machine of one's own, which answers with a plain value or a
stand-in, or refuses; nothing is imported, called or set by anybody.

A pickle is gone through twice. `Machine.scan` refuses opcodes that are not known, and finds which objects are
asked for again, so that `Machine.run` need not keep the others: a file of all architectures has millions.
The format: https://github.com/python/cpython/blob/main/Lib/pickletools.py
"""

from __future__ import annotations

import pickletools
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from bloxdb.codecs.values import INTEGER_AT_MOST
from bloxdb.counts import counted
from bloxdb.errors import BloxFormatError

PROTOCOLS = range(2, 6)
"""Protocols that are read."""

MARKS_AT_MOST = 32
"""Marks that wait: one for each list, tuple or dict within another."""

STACK_AT_MOST = 10_000
"""Values that wait: a pickler fills lists and dicts with a thousand entries at once."""


def goes_on(left: int) -> str:
    """What is said where so many bytes are left after a pickle."""
    return f"{counted(left, 'byte follows', 'bytes follow')} the pickle's end"


_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_CODES = {name: code for code, name in _NAMES.items()}
_PREFIXES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}  # bytes of the number that says how many follow
_ARGUMENTS = {ord(opcode.code): opcode.arg for opcode in pickletools.opcodes}
_SIZES = {code: arg.n if arg else 0 for code, arg in _ARGUMENTS.items() if arg is None or arg.n >= 0}
_COUNTS = {code: _PREFIXES[arg.n] for code, arg in _ARGUMENTS.items() if arg and arg.n in _PREFIXES}
_LINES = {
    code: 2 if arg.name.endswith("pair") else 1
    for code, arg in _ARGUMENTS.items()
    if arg and arg.n == pickletools.UP_TO_NEWLINE
}
_LINE = re.compile(rb"[^\n]*\n")
_ONE_NUMBER = re.compile(rb"\]\x94G.{8}a", re.DOTALL)  # EMPTY_LIST, MEMOIZE, BINFLOAT, APPEND: most of a file
_ONE_NUMBER_SIZE = 12
_MEMOIZE, _LIST, _STOP, _PROTO = (_CODES[name] for name in ("MEMOIZE", "EMPTY_LIST", "STOP", "PROTO"))
_KEYS = frozenset({str, int, float})
_MAKERS = {
    _CODES[name]
    for name in (
        *("EMPTY_LIST", "EMPTY_DICT", "EMPTY_SET", "FROZENSET", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"),
        *("GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "NEWOBJ_EX", "OBJ", "BINPERSID", "BYTEARRAY8"),
        *("EXT1", "EXT2", "EXT4"),
    )
}
_BYTES_EACH = 4  # one of NumPy's truth values, the shortest that needs two, takes nine
_ALWAYS = 10_000  # objects, however small the file is
_GETS = {_CODES["BINGET"], _CODES["LONG_BINGET"]}

Data = bytes | memoryview
Step = Callable[[Any, Data], object]


class CutOffError(BloxFormatError):
    """The file ends within a pickle."""


_NUMBERED = -1
"""In place of how many values are remembered, in a pickle that numbers them itself (protocols 0 to 3)."""


@dataclass(frozen=True)
class Span:
    """One of the pickles of a file.

    Attributes
    ----------
    start, end
        Its bytes.
    wanted
        The numbers in the memo that are asked for again.
    """

    start: int
    end: int
    wanted: frozenset[int]


class Machine(ABC):
    """A stack, marks in it, and a memo of what is asked for again.

    Parameters
    ----------
    data, span
        The file, and the part of it that `scan` found.

    Attributes
    ----------
    PLACE
        What is read, and what else a refusal should say.
    STEPS
        What each opcode does that is known, by its code; made by `steps`.
    """

    PLACE: ClassVar[str]
    STEPS: ClassVar[Mapping[int, Step]]

    def __init__(self, data: Data, span: Span) -> None:
        self.data = data
        self.span = span
        self.at = span.start
        self.stack: list[Any] = []
        self._marks: list[int] = []
        self._memo: dict[int, Any] = {}
        self._remembered = 0

    @abstractmethod
    def named(self, name: str) -> Any:
        """What stands for the class or function of a name."""

    @abstractmethod
    def called(self, called: Any, arguments: Any) -> Any:
        """What stands for that which calling something would give."""

    @abstractmethod
    def made(self, made: Any, arguments: Any) -> Any:
        """What stands for a new object of a class."""

    @abstractmethod
    def set(self, made: Any, state: Any) -> None:
        """What an object is told of itself."""

    @classmethod
    def scan(cls, data: Data) -> Iterator[Span]:
        """The pickles of a file, one after the other; each has only opcodes that are known.

        Raises
        ------
        BloxFormatError
            An opcode does not belong here, or the file is cut off; the error has the byte.
        """
        at = 0
        while at < len(data):
            span = cls._scan(data, at)
            yield span
            at = span.end

    @classmethod
    def _scan(cls, data: Data, start: int) -> Span:
        if data[start] != _PROTO:
            raise BloxFormatError("what follows is no pickle of protocol 2 to 5", offset=start)
        if start + 1 < len(data) and data[start + 1] not in PROTOCOLS:
            raise BloxFormatError(f"protocol {data[start + 1]} is not read, only 2 to 5", offset=start)
        at, size, known = start, len(data), cls.STEPS
        wanted: set[int] = set()
        left = _ALWAYS + size // _BYTES_EACH
        while at < size:
            code = data[at]
            if code == _LIST and _ONE_NUMBER.match(data, at):
                at += _ONE_NUMBER_SIZE
                continue
            if code == _STOP:
                return Span(start, at + 1, frozenset(wanted))
            if code not in known:
                name = _NAMES.get(code, f"0x{code:02x}")
                raise BloxFormatError(f"opcode {name} does not belong in {cls.PLACE}", offset=at)
            length = _SIZES.get(code)
            if length is None:
                _, at = _argument(data, at)
                continue
            if code in _MAKERS:
                left -= 1
                if left < 0:
                    raise BloxFormatError("more objects than so few bytes can honestly tell", offset=at)
            elif code in _GETS:
                wanted.add(int.from_bytes(data[at + 1 : at + 1 + length], "little"))
            at += 1 + length
        raise CutOffError("the file is cut off", offset=size)

    def run(self) -> Any:
        """The object that the pickle describes.

        Raises
        ------
        BloxFormatError
            It is damaged, or builds what does not belong here.
        """
        data, end, steps = self.data, self.span.end - 1, self.STEPS
        wanted = self.span.wanted | {_NUMBERED}  # no fast way where values have numbers
        unpack = struct.Struct(">d").unpack_from
        at = self.span.start
        while at < end:
            self.at = at
            code = data[at]
            if code == _MEMOIZE and self._remembered not in wanted:
                self.top()
                self._remembered += 1
                at += 1
            elif code == _LIST and self._remembered not in wanted and _ONE_NUMBER.match(data, at):
                self.push([unpack(data, at + 3)[0]])
                self._remembered += 1
                at += _ONE_NUMBER_SIZE
            else:
                length = _SIZES.get(code)
                first, at = _argument(data, at) if length is None else (at + 1, at + 1 + length)
                steps[code](self, data[first:at])
        self.at = end
        if len(self.stack) != 1 or self._marks:
            raise self.error("the pickle does not end with one object")
        return self.stack[0]

    def error(self, problem: str) -> BloxFormatError:
        """An error at the opcode that is being done."""
        return BloxFormatError(problem, offset=self.at)

    def push(self, value: Any) -> None:
        """Put a value on the stack."""
        if len(self.stack) >= STACK_AT_MOST:
            raise self.error("too much is nested")
        self.stack.append(value)

    def pop(self) -> Any:
        """Take the topmost value, which no mark hides."""
        self.top()
        return self.stack.pop()

    def top(self) -> Any:
        """The topmost value, which no mark hides."""
        if len(self.stack) <= (self._marks[-1] if self._marks else 0):
            raise self.error("a value is missing")
        return self.stack[-1]

    def mark(self, _: Data) -> None:
        """Begin what a later opcode takes at once."""
        if len(self._marks) >= MARKS_AT_MOST:
            raise self.error("too much is nested")
        self._marks.append(len(self.stack))

    def since_mark(self, _: Data = b"") -> list[Any]:
        """Take all values since the last mark."""
        if not self._marks:
            raise self.error("a mark is missing")
        first = self._marks.pop()
        values = self.stack[first:]
        del self.stack[first:]
        return values

    def list_on_top(self) -> list[Any]:
        """The list that is appended to."""
        found = self.top()
        if type(found) is not list:
            raise self.error("there is no list to append to")
        return found

    def fill(self, pairs: list[Any]) -> None:
        """Keys and values in turn, for the dict on top."""
        found = self.top()
        if type(found) is not dict or len(pairs) % 2:
            raise self.error("there is no dict to fill")
        if not _KEYS.issuperset(map(type, pairs[::2])):
            raise self.error("a key of a dict is a text or a number")
        self.enter(found, zip(pairs[::2], pairs[1::2], strict=True))

    def enter(self, found: dict[Any, Any], entries: Iterable[tuple[Any, Any]]) -> None:
        """Put entries into a dict."""
        found.update(entries)

    def _text(self, argument: Data) -> None:
        try:
            self.push(str(argument, "utf-8"))
        except UnicodeDecodeError as error:
            raise self.error(f"a text is not UTF-8: {error.reason}") from error

    def _long(self, argument: Data) -> None:
        if len(argument) > INTEGER_AT_MOST:
            raise self.error(f"a whole number of more than {INTEGER_AT_MOST} bytes does not belong here")
        self.push(int.from_bytes(argument, "little", signed=True))

    def _some(self, count: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(count)])))

    def _append(self, _: Data) -> None:
        value = self.pop()
        self.list_on_top().append(value)

    def _appends(self, _: Data) -> None:
        values = self.since_mark()
        self.list_on_top().extend(values)

    def _set_item(self, _: Data) -> None:
        value, key = self.pop(), self.pop()
        self.fill([key, value])

    def _memoize(self, _: Data) -> None:
        if self._remembered == _NUMBERED:
            raise self.error("what is remembered has numbers of its own here, and others there")
        value = self.top()
        if self._remembered in self.span.wanted:
            self._memo[self._remembered] = value
        self._remembered += 1

    def _put(self, argument: Data) -> None:
        if self._remembered > 0:  # a later MEMOIZE would count what has a number, and what has it twice once
            raise self.error("what is remembered has numbers of its own here, and others there")
        self._remembered = _NUMBERED
        value, number = self.top(), unsigned(argument)
        if number in self.span.wanted:
            self._memo[number] = value

    def _get(self, argument: Data) -> None:
        number = int.from_bytes(argument, "little")
        if number not in self._memo:
            raise self.error("a value is asked for that was never remembered")
        self.push(self._memo[number])

    def _name(self, argument: Data) -> None:
        lines = bytes(argument).decode("utf-8", "backslashreplace").split("\n")
        self.push(self.named(".".join(lines[:2])))

    def _stack_name(self, _: Data) -> None:
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise self.error("the name of a class is a text")
        self.push(self.named(f"{module}.{name}"))

    def _arguments(self) -> tuple[Any, ...]:
        found = self.pop()
        if type(found) is not tuple:
            raise self.error("the arguments of a call are a tuple")
        return found

    def _protocol(self, argument: Data) -> None:
        if argument[0] not in PROTOCOLS:
            raise self.error(f"protocol {argument[0]} is not read, only 2 to 5")

    def _reduce(self, _: Data) -> None:
        arguments, called = self._arguments(), self.pop()
        self.push(self.called(called, arguments))

    def _new(self, _: Data) -> None:
        arguments, made = self._arguments(), self.pop()
        self.push(self.made(made, arguments))

    def _build(self, _: Data) -> None:
        state = self.pop()
        self.set(self.top(), state)


def _argument(data: Data, at: int) -> tuple[int, int]:
    """Where the argument of an opcode begins and ends: beyond the end of a file that is cut off."""
    code, first = data[at], at + 1
    if code in _SIZES:
        return first, first + _SIZES[code]
    if code in _COUNTS:
        first += _COUNTS[code]
        return first, first + int.from_bytes(data[at + 1 : first], "little")
    end = first
    for _ in range(_LINES[code]):
        line = _LINE.match(data, end)
        if line is None:
            raise CutOffError("the file is cut off", offset=len(data))
        end = line.end()
    return first, end


def pushing(make: Callable[[Data], Any]) -> Step:
    """A step that puts on the stack what its argument stands for."""
    return lambda machine, argument: machine.push(make(argument))


def steps(by_name: Mapping[str, Step]) -> dict[int, Step]:
    """Steps by the codes of opcodes, those of plain data among them."""
    return {_CODES[name]: step for name, step in {**_PLAIN, **by_name}.items()}


def unsigned(argument: Data) -> int:
    """The number that bytes spell."""
    return int.from_bytes(argument, "little")


_PLAIN: dict[str, Step] = {
    "PROTO": Machine._protocol,
    "FRAME": lambda machine, _: None,  # how what follows is packed
    "MARK": Machine.mark,
    "NONE": pushing(lambda _: None),
    "NEWTRUE": pushing(lambda _: True),
    "NEWFALSE": pushing(lambda _: False),
    "BININT": pushing(lambda argument: int.from_bytes(argument, "little", signed=True)),
    "BININT1": pushing(unsigned),
    "BININT2": pushing(unsigned),
    "LONG1": Machine._long,
    "BINFLOAT": pushing(lambda argument: struct.unpack(">d", argument)[0]),
    "SHORT_BINUNICODE": Machine._text,
    "BINUNICODE": Machine._text,
    "BINUNICODE8": Machine._text,
    "EMPTY_LIST": pushing(lambda _: []),
    "EMPTY_DICT": pushing(lambda _: {}),
    "EMPTY_TUPLE": pushing(lambda _: ()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
    "TUPLE1": lambda machine, _: machine._some(1),
    "TUPLE2": lambda machine, _: machine._some(2),
    "TUPLE3": lambda machine, _: machine._some(3),
    "APPEND": Machine._append,
    "APPENDS": Machine._appends,
    "SETITEM": Machine._set_item,
    "SETITEMS": lambda machine, _: machine.fill(machine.since_mark()),
    "MEMOIZE": Machine._memoize,
    "BINPUT": Machine._put,
    "LONG_BINPUT": Machine._put,
    "BINGET": Machine._get,
    "LONG_BINGET": Machine._get,
    "GLOBAL": Machine._name,
    "STACK_GLOBAL": Machine._stack_name,
    "REDUCE": Machine._reduce,
    "NEWOBJ": Machine._new,
    "BUILD": Machine._build,
}
