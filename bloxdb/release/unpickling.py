"""Reads the pickles of the original's training results, and never runs any of it.

It is a machine of its own for the opcodes that build plain data. Two classes may be named, and neither is
looked up anywhere: `collections.OrderedDict` becomes a dict, the original's `Args` becomes `Arguments`.
Whatever else could call, import or look something up is refused by its name.

A file is gone through twice. `scan` checks its opcodes and finds which objects are asked for again, so that
`build` need not keep the others: a file of all architectures has millions.
"""

from __future__ import annotations

import pickletools
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from bloxdb.errors import BloxFormatError

PROTOCOLS = range(2, 6)

_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}
_CODES = {name: code for code, name in _NAMES.items()}
_MARKS_AT_MOST = 32
_STACK_AT_MOST = 10_000  # a dict is filled with a thousand entries at once
_INTEGER_AT_MOST = 8  # bytes

_FIXED = {
    "PROTO": 1,
    "FRAME": 8,
    "STOP": 0,
    "MARK": 0,
    "NONE": 0,
    "NEWTRUE": 0,
    "NEWFALSE": 0,
    "BININT": 4,
    "BININT1": 1,
    "BININT2": 2,
    "BINFLOAT": 8,
    "EMPTY_LIST": 0,
    "EMPTY_DICT": 0,
    "EMPTY_TUPLE": 0,
    "TUPLE": 0,
    "TUPLE1": 0,
    "TUPLE2": 0,
    "TUPLE3": 0,
    "APPEND": 0,
    "APPENDS": 0,
    "SETITEM": 0,
    "SETITEMS": 0,
    "MEMOIZE": 0,
    "BINPUT": 1,
    "LONG_BINPUT": 4,
    "BINGET": 1,
    "LONG_BINGET": 4,
    "STACK_GLOBAL": 0,
    "REDUCE": 0,
    "NEWOBJ": 0,
    "BUILD": 0,
}
"""Bytes after an opcode that always has as many."""

_COUNTED = {"LONG1": 1, "SHORT_BINUNICODE": 1, "BINUNICODE": 4, "BINUNICODE8": 8}
"""Bytes of the number that says how many follow."""

_SIZES = {_CODES[name]: size for name, size in _FIXED.items()}
_COUNTS = {_CODES[name]: size for name, size in _COUNTED.items()}
_MEMOIZE, _LIST = _CODES["MEMOIZE"], _CODES["EMPTY_LIST"]
_ONE_NUMBER = re.compile(rb"\]\x94G.{8}a", re.DOTALL)  # EMPTY_LIST, MEMOIZE, BINFLOAT, APPEND: most of a file
_ONE_NUMBER_SIZE = 12
_GLOBAL, _STOP, _PROTO = _CODES["GLOBAL"], _CODES["STOP"], _CODES["PROTO"]
_GETS = {_CODES["BINGET"], _CODES["LONG_BINGET"]}


class CutOffError(BloxFormatError):
    """The file ends within a pickle."""


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


class Arguments:
    """What the original's command line was; `fields` is None until they are there."""

    def __init__(self) -> None:
        self.fields: dict[str, Any] | None = None


@dataclass(frozen=True)
class _Class:
    """A class that may be named; there is nothing behind it."""

    name: str


_ORDERED = _Class("collections.OrderedDict")
_ARGUMENTS = _Class("blox.training.args.Args")
_CLASSES = {known.name: known for known in (_ORDERED, _ARGUMENTS)}


def scan(data: bytes) -> Iterator[Span]:
    """The pickles of a file, one after the other; each has only opcodes that are known here.

    Raises
    ------
    BloxFormatError
        An opcode does not belong here, or the file is cut off; the error has the byte.
    """
    at = 0
    while at < len(data):
        span = _scan(data, at)
        yield span
        at = span.end


def _scan(data: bytes, start: int) -> Span:
    if data[start] != _PROTO:
        raise BloxFormatError("what follows is no pickle of protocol 2 to 5", offset=start)
    if start + 1 < len(data) and data[start + 1] not in PROTOCOLS:
        raise BloxFormatError(f"protocol {data[start + 1]} is not read, only 2 to 5", offset=start)
    at, size, wanted = start, len(data), set()
    while at < size:
        code = data[at]
        if code == _LIST and _ONE_NUMBER.match(data, at):
            at += _ONE_NUMBER_SIZE
            continue
        length = _SIZES.get(code)
        if length is None:
            length = _length(data, at)
        elif code in _GETS:
            wanted.add(int.from_bytes(data[at + 1 : at + 1 + length], "little"))
        at += 1 + length
        if code == _STOP:
            return Span(start, at, frozenset(wanted))
    raise CutOffError("the file is cut off", offset=size)


def _length(data: bytes, at: int) -> int:
    """How many bytes follow an opcode that says so itself."""
    code = data[at]
    if code in _COUNTS:
        digits = _COUNTS[code]
        count = int.from_bytes(data[at + 1 : at + 1 + digits], "little")
        if at + 1 + digits + count > len(data):
            raise CutOffError("the file is cut off", offset=len(data))
        return digits + count
    if code == _GLOBAL:
        end = data.find(b"\n", data.find(b"\n", at) + 1)
        if data.find(b"\n", at) < 0 or end < 0:
            raise CutOffError("the file is cut off", offset=len(data))
        return end - at
    name = _NAMES.get(code, f"0x{code:02x}")
    raise BloxFormatError(
        f"opcode {name} does not belong in a file of training results; nothing of the file was run", offset=at
    )


def build(data: bytes, span: Span, take: Callable[[Any, Any, int], None]) -> Any:
    """The object that a pickle holds; where that is a dict, its entries go to `take`, and it stays empty.

    Parameters
    ----------
    data, span
        The file, and the part of it that `scan` found.
    take
        Gets the key and the value of each entry of the outermost dict, and the byte where that was read.

    Raises
    ------
    BloxFormatError
        The pickle names something that is not known here, or builds what does not belong here.
    """
    return _Machine(data, span, take).run()


class _Machine:
    """A stack, and a memo of what is asked for again."""

    def __init__(self, data: bytes, span: Span, take: Callable[[Any, Any, int], None]) -> None:
        self.data = data
        self.span = span
        self.take = take
        self.at = span.start
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.remembered = 0
        self.has_taken = False

    def run(self) -> Any:
        data, end, wanted = self.data, self.span.end - 1, self.span.wanted
        unpack = struct.Struct(">d").unpack_from
        at = self.span.start
        while at < end:
            self.at = at
            code = data[at]
            if code == _MEMOIZE and self.remembered not in wanted:
                self.top()
                self.remembered += 1
                at += 1
                continue
            if code == _LIST and self.remembered not in wanted and _ONE_NUMBER.match(data, at):
                self.push([unpack(data, at + 3)[0]])
                self.remembered += 1
                at += _ONE_NUMBER_SIZE
                continue
            size = _SIZES.get(code)
            if size is None:
                size = _length(data, at)
            _STEPS[code](self, data[at + 1 : at + 1 + size])
            at += 1 + size
        self.at = end
        if len(self.stack) != 1 or self.marks:
            raise self.error("the pickle does not end with one object")
        if self.has_taken and type(self.stack[0]) is not dict:
            raise self.error("a dict is within something that was made after it")
        return self.stack[0]

    def error(self, problem: str) -> BloxFormatError:
        return BloxFormatError(problem, offset=self.at)

    def push(self, value: Any) -> None:
        if len(self.stack) >= _STACK_AT_MOST:
            raise self.error("too much is nested")
        self.stack.append(value)

    def pop(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.error("a value is missing")
        return self.stack.pop()

    def top(self) -> Any:
        if len(self.stack) <= (self.marks[-1] if self.marks else 0):
            raise self.error("a value is missing")
        return self.stack[-1]

    def mark(self, _: bytes) -> None:
        if len(self.marks) >= _MARKS_AT_MOST:
            raise self.error("too much is nested")
        self.marks.append(len(self.stack))

    def since_mark(self) -> list[Any]:
        if not self.marks:
            raise self.error("a mark is missing")
        first = self.marks.pop()
        values = self.stack[first:]
        del self.stack[first:]
        return values

    def nothing(self, _: bytes) -> None:
        """PROTO and FRAME: how what follows is packed."""

    def text(self, argument: bytes) -> None:
        skipped = _COUNTS[self.data[self.at]]
        try:
            self.push(argument[skipped:].decode("utf-8"))
        except UnicodeDecodeError as error:
            raise self.error(f"a text is not UTF-8: {error.reason}") from error

    def long(self, argument: bytes) -> None:
        if len(argument) > 1 + _INTEGER_AT_MOST:
            raise self.error(f"a whole number of more than {_INTEGER_AT_MOST} bytes does not belong here")
        self.push(int.from_bytes(argument[1:], "little", signed=True))

    def some(self, count: int) -> None:
        self.push(tuple(reversed([self.pop() for _ in range(count)])))

    def append(self, _: bytes) -> None:
        value = self.pop()
        self._list().append(value)

    def appends(self, _: bytes) -> None:
        values = self.since_mark()
        self._list().extend(values)

    def _list(self) -> list[Any]:
        found = self.top()
        if type(found) is not list:
            raise self.error("there is no list to append to")
        return found

    def setitem(self, _: bytes) -> None:
        value, key = self.pop(), self.pop()
        self._set([key, value])

    def setitems(self, _: bytes) -> None:
        self._set(self.since_mark())

    def _set(self, pairs: list[Any]) -> None:
        found = self.top()
        if type(found) is not dict or len(pairs) % 2:
            raise self.error("there is no dict to fill")
        is_outermost = len(self.stack) == 1
        self.has_taken |= is_outermost
        for place in range(0, len(pairs), 2):
            key, value = pairs[place], pairs[place + 1]
            if type(key) not in (str, int, float):
                raise self.error("a key of a dict is a text or a number")
            if is_outermost:
                self.take(key, value, self.at)
            else:
                found[key] = value

    def memoize(self, _: bytes) -> None:
        self._remember(self.remembered)

    def put(self, argument: bytes) -> None:
        self._remember(int.from_bytes(argument, "little"))

    def _remember(self, number: int) -> None:
        value = self.top()
        self.remembered += 1
        if number in self.span.wanted:
            self.memo[number] = value

    def get(self, argument: bytes) -> None:
        number = int.from_bytes(argument, "little")
        if number not in self.memo:
            raise self.error("a value is asked for that was never remembered")
        self.push(self.memo[number])

    def name(self, argument: bytes) -> None:
        """GLOBAL: two lines."""
        self._class(".".join(argument.decode("utf-8", "backslashreplace").split("\n")[:2]))

    def stack_name(self, _: bytes) -> None:
        name, module = self.pop(), self.pop()
        if type(name) is not str or type(module) is not str:
            raise self.error("the name of a class is a text")
        self._class(f"{module}.{name}")

    def _class(self, name: str) -> None:
        found = _CLASSES.get(name)
        if found is None:
            raise self.error(
                f"it names {ascii(name[:200])[1:-1]}, which does not belong in a file of training results; "
                "nothing of the file was run"
            )
        self.push(found)

    def reduce(self, _: bytes) -> None:
        arguments, called = self.pop(), self.pop()
        if called is not _ORDERED or arguments != ():
            raise self.error("only an empty collections.OrderedDict is made by REDUCE here; nothing was run")
        self.push({})

    def new(self, _: bytes) -> None:
        arguments, made = self.pop(), self.pop()
        if made is not _ARGUMENTS or arguments != ():
            raise self.error("only blox.training.args.Args is made by NEWOBJ here; nothing was run")
        self.push(Arguments())

    def build(self, _: bytes) -> None:
        state, made = self.pop(), self.top()
        if type(made) is not Arguments or made.fields is not None or type(state) is not dict:
            raise self.error(
                "only the fields of blox.training.args.Args are set by BUILD here; nothing was run"
            )
        made.fields = state


def _constant(value: Any) -> Callable[[_Machine, bytes], None]:
    return lambda machine, _: machine.push(value)


_STEPS: dict[int, Callable[[_Machine, bytes], None]] = {
    _CODES[name]: step
    for name, step in {
        "PROTO": _Machine.nothing,
        "FRAME": _Machine.nothing,
        "MARK": _Machine.mark,
        "NONE": _constant(None),
        "NEWTRUE": _constant(True),
        "NEWFALSE": _constant(False),
        "BININT": lambda machine, raw: machine.push(int.from_bytes(raw, "little", signed=True)),
        "BININT1": lambda machine, raw: machine.push(raw[0]),
        "BININT2": lambda machine, raw: machine.push(int.from_bytes(raw, "little")),
        "LONG1": _Machine.long,
        "BINFLOAT": lambda machine, raw: machine.push(struct.unpack(">d", raw)[0]),
        "SHORT_BINUNICODE": _Machine.text,
        "BINUNICODE": _Machine.text,
        "BINUNICODE8": _Machine.text,
        "EMPTY_LIST": lambda machine, _: machine.push([]),
        "EMPTY_DICT": lambda machine, _: machine.push({}),
        "EMPTY_TUPLE": lambda machine, _: machine.push(()),
        "TUPLE": lambda machine, _: machine.push(tuple(machine.since_mark())),
        "TUPLE1": lambda machine, _: machine.some(1),
        "TUPLE2": lambda machine, _: machine.some(2),
        "TUPLE3": lambda machine, _: machine.some(3),
        "APPEND": _Machine.append,
        "APPENDS": _Machine.appends,
        "SETITEM": _Machine.setitem,
        "SETITEMS": _Machine.setitems,
        "MEMOIZE": _Machine.memoize,
        "BINPUT": _Machine.put,
        "LONG_BINPUT": _Machine.put,
        "BINGET": _Machine.get,
        "LONG_BINGET": _Machine.get,
        "GLOBAL": _Machine.name,
        "STACK_GLOBAL": _Machine.stack_name,
        "REDUCE": _Machine.reduce,
        "NEWOBJ": _Machine.new,
        "BUILD": _Machine.build,
    }.items()
}
