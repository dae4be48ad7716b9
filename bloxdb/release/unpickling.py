"""Reads the pickles of the original's training results, and never runs any of it.

Two classes may be named, and neither is looked up anywhere: `collections.OrderedDict` becomes a dict, the
original's `Args` becomes `Arguments`. Whatever else could call, import or look something up is refused by its
name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

from bloxdb.codecs.opcodes import Machine, Span, pushing, steps

_NOTHING = "nothing of the file was run"


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
    return _Results.scan(data)


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
    return _Results(data, span, take).run()


class _Results(Machine):
    PLACE: ClassVar = f"a file of training results; {_NOTHING}"
    # bytes stand behind the name of what they are the state of, which is to be told, and not an opcode
    STEPS: ClassVar = steps(dict.fromkeys(("BINBYTES", "SHORT_BINBYTES", "BINBYTES8"), pushing(bytes)))

    def __init__(self, data: bytes, span: Span, take: Callable[[Any, Any, int], None]) -> None:
        super().__init__(data, span)
        self._take = take
        self._has_taken = False

    def run(self) -> Any:
        found = super().run()
        if self._has_taken and type(found) is not dict:
            raise self.error("a dict is within something that was made after it")
        return found

    def enter(self, found: dict[Any, Any], entries: Iterable[tuple[Any, Any]]) -> None:
        if len(self.stack) > 1:
            super().enter(found, entries)
            return
        self._has_taken = True
        for key, value in entries:
            self._take(key, value, self.at)

    def named(self, name: str) -> Any:
        found = _CLASSES.get(name)
        if found is None:
            raise self.error(f"it names {ascii(name[:200])[1:-1]}, which does not belong in {self.PLACE}")
        return found

    def called(self, called: Any, arguments: Any) -> Any:
        if called is not _ORDERED or arguments != ():
            raise self.error("only an empty collections.OrderedDict is made by REDUCE here; nothing was run")
        return {}

    def made(self, made: Any, arguments: Any) -> Any:
        if made is not _ARGUMENTS or arguments != ():
            raise self.error("only blox.training.args.Args is made by NEWOBJ here; nothing was run")
        return Arguments()

    def set(self, made: Any, state: Any) -> None:
        if type(made) is not Arguments or made.fields is not None or type(state) is not dict:
            raise self.error(
                "only the fields of blox.training.args.Args are set by BUILD here; nothing was run"
            )
        made.fields = state
