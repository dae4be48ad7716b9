"""What stands between our texts and whatever shows them: streams, encodings, control characters, colours."""

from __future__ import annotations

import codecs
import os
import re
import shutil
import signal
import sys
import textwrap
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
_CONTROL_IN_LINES = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")

_PIECE = 1_000
"""Characters to write at once: less than 4,096 bytes, which a pipe takes whole or not at all.

Of more, a pipe whose reader leaves takes a part, and with $PYTHONUNBUFFERED Python does not notice.
"""

STDOUT, STDERR = "standard output", "standard error"
"""What errors call the streams."""

_LOOKALIKES = {
    **dict(zip("▁▂▃▄▅▆▇█", "__--==##", strict=True)),
    **dict(zip("│─┌┐└┘├┤┬┴╭╮╰╯", "|-++++++++++++", strict=True)),
    **{"…": "...", "±": "+-", "×": "x", "–": "-", "—": "-", "━": "-", "╸": "-", "╺": "-"},
}
"""What stands for a character of ours that an encoding has not."""


def clean(text: str) -> str:
    r"""A text of one line in which control characters, and what turns the writing round, are spelled out.

    Examples
    --------
    >>> clean("a\x1b[31mb\n")
    'a\\x1b[31mb\\n'
    """
    return _CONTROL.sub(_spelled, text)


def _spelled(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode("ascii")


def say(text: object = "") -> None:
    """A line, or several, on stdout; control characters in them are spelled out."""
    write(f"{_CONTROL_IN_LINES.sub(_spelled, str(text))}\n")


def tell(text: str) -> None:
    """`say` for sentences: on a terminal they are folded between words, so that no number is cut in two."""
    shown = _CONTROL_IN_LINES.sub(_spelled, text)
    say(folded(shown, width()) if is_terminal() else shown)


def folded(text: str, columns: int) -> str:
    """A text whose lines keep to a width, but for words that are longer; what goes on is indented.

    Examples
    --------
    >>> print(folded("  stage 1: ST2(conv3x3, dconv5x5)", 26))
      stage 1: ST2(conv3x3,
        dconv5x5)
    """
    lines = []
    for line in text.split("\n"):
        indent = " " * (len(line) - len(line.lstrip()) + 2)
        lines += textwrap.wrap(
            line, columns, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
        ) or [""]
    return "\n".join(lines)


def note(text: object) -> None:
    """A message for a person, on stderr; the same rule."""
    write(f"{_CONTROL_IN_LINES.sub(_spelled, str(text))}\n", sys.stderr)


def print_notes(notes: Iterable[str]) -> None:
    """The notes of a report, on stderr."""
    for sentence in notes:
        note(f"note: {sentence}")


def write(text: str, stream: IO[str] | None = None) -> None:
    """A text as it is, on stdout or another stream, at once; an `OSError` names the stream."""
    stream = stream or sys.stdout
    try:
        for start in range(0, len(text), _PIECE):
            stream.write(text[start : start + _PIECE])
        stream.flush()
    except OSError as error:
        error.filename = error.filename or (STDERR if stream is sys.stderr else STDOUT)
        raise


def write_data(text: str) -> None:
    """A text that a program reads from a file or a pipe: every character as it is, in UTF-8.

    A lookalike would be another value, and nobody could tell.
    """
    if hasattr(sys.stdout, "reconfigure"):
        sys.stdout.reconfigure(encoding="utf-8", errors=sys.stdout.errors)
    write(text)


def is_terminal() -> bool:
    """Whether a person looks at stdout."""
    return sys.stdout.isatty()


def width() -> int:
    """Columns of the terminal, $COLUMNS first."""
    return shutil.get_terminal_size().columns


def bold(text: str) -> str:
    """A text that stands out, on a terminal that can show it and where nobody asked for none of this."""
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM", "dumb") in ("dumb", "unknown")
    return text if plain else f"\x1b[1m{text}\x1b[0m"


def console() -> Console:
    """Rich's console on stderr, to which texts are no markup."""
    from rich.console import Console

    return Console(stderr=True, markup=False, emoji=False, highlight=False)


@contextmanager
def streams() -> Iterator[None]:
    """Standard streams that every text can be written to, whatever they are.

    A reader that leaves, as `head` does, ends the process as it ends other tools: by SIGPIPE, silently.
    """
    _open_what_is_closed()
    codecs.register_error("bloxdb", _lookalike)
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="bloxdb")
    try:
        yield
    finally:
        for stream in (sys.__stdout__, sys.__stderr__):
            try:
                if stream is not None:
                    stream.flush()
            except BrokenPipeError:
                end_by_sigpipe()
            except OSError:  # a full disk, and the error was told already
                _silence()


def end_by_sigpipe() -> None:
    """End the process as the system would, had Python not asked it to give an error instead."""
    _silence()
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    os.kill(os.getpid(), signal.SIGPIPE)


def _silence() -> None:
    """Let what is still in buffers go nowhere, or Python would tell of it at its end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for descriptor in (1, 2):
        os.dup2(nowhere, descriptor)


def _open_what_is_closed() -> None:
    """A file that is opened later must not become what others take for stdout."""
    for descriptor, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        if getattr(sys, name) is None:
            with suppress(OSError):
                os.fstat(descriptor)
                continue
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free, which is this one
            setattr(sys, name, os.fdopen(descriptor, mode, closefd=False))


def _lookalike(error: UnicodeError) -> tuple[str, int]:
    """What is written for characters that an encoding has not."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    missing = error.object[error.start : error.end]
    spelled = (_LOOKALIKES.get(char) or char.encode("ascii", "backslashreplace").decode() for char in missing)
    return "".join(spelled), error.end
