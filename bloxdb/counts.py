"""How much there is, as a person asks: architectures, runs, epochs, latencies; and reports."""

from __future__ import annotations

import re
from dataclasses import dataclass, fields


class Report:
    """What a function did, as it gives it back.

    Its text is a sentence for a person. What a notebook shows is that text, and how many notes there are.
    """

    def __repr__(self) -> str:
        notes = len(getattr(self, "notes", ()))
        told = f"; {counted(notes, 'note')}" if notes else ""
        return f"<{type(self).__name__}: {self}{told}>"


@dataclass
class Counts:
    """Numbers of what reports speak of; its text leaves out what there is none of.

    Attributes
    ----------
    architectures, runs, epochs, latencies
        How many of each.

    Examples
    --------
    >>> str(Counts(300, 600, 120_000))
    '300 architectures, 600 runs, 120,000 epochs'
    """

    architectures: int = 0
    runs: int = 0
    epochs: int = 0
    latencies: int = 0

    def __bool__(self) -> bool:
        return self != Counts()

    def __str__(self) -> str:
        found = [(field.name, getattr(self, field.name)) for field in fields(self)]
        parts = [counted(n, _ONE[name], name) for name, n in found if n]
        return ", ".join(parts) or "nothing"


def counted(n: int, one: str, many: str = "") -> str:
    """How many of something, with the words for one or for several.

    Parameters
    ----------
    n
        How many.
    one
        What one is called, as 'run' or 'run waits'.
    many
        What several are called, as 'runs wait'; `one` with an s if nothing is said.

    Returns
    -------
    str
        The number, its thousands set off, and the words.

    Examples
    --------
    >>> counted(1, "row"), counted(91_125, "row"), counted(0, "run waits", "runs wait")
    ('1 row', '91,125 rows', '0 runs wait')
    """
    return f"{n:,} {word_for(n, one, many)}"


def agreed(n: int, words: str) -> str:
    """How many of something, and a sentence whose words agree with that.

    Parameters
    ----------
    n
        How many.
    words
        What is said, by us alone, and in brackets where one is told otherwise than several:
        ``'[run has its|runs have their] epochs'``.

    Examples
    --------
    >>> agreed(1, "[run lacks its|runs lack their] epochs"), agreed(2_000, "[row|rows] of runs")
    ('1 run lacks its epochs', '2,000 rows of runs')
    """
    return f"{n:,} {_CHOICE.sub(lambda found: word_for(n, found[1], found[2]), words)}"


def word_for(n: int, one: str, many: str = "") -> str:
    """The words for one or for several, where the number stands elsewhere, or the things are named.

    Parameters
    ----------
    n
        How many.
    one, many
        As `counted` takes them.

    Examples
    --------
    >>> word_for(1, "seed"), word_for(2, "seed")
    ('seed', 'seeds')
    """
    return one if n == 1 else many or one + "s"


_CHOICE = re.compile(r"\[([^|\]]+)\|([^|\]]+)\]")
_ONE = {"architectures": "architecture", "runs": "run", "epochs": "epoch", "latencies": "latency"}
