"""How much there is, as a person asks: architectures, runs, epochs, latencies."""

from __future__ import annotations

from dataclasses import dataclass, fields


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
        parts = [f"{n:,} {_ONE[name] if n == 1 else name}" for name, n in found if n]
        return ", ".join(parts) or "nothing"


_ONE = {"architectures": "architecture", "runs": "run", "epochs": "epoch", "latencies": "latency"}
