"""What measures are called where people look at them: on axes, in tables of a page."""

from __future__ import annotations

from bloxdb.measures import LATENCY, Measure

_PARTS = {
    "train": "training",
    "val": "validation",
    "test": "test",
    "top1": "accuracy",
    "top5": "top-5 accuracy",
    "loss": "loss",
}
_NAMES = {"flops": "FLOPs", "params": "parameters", "train_time_s": "training time"}
_UNITS = {"percent": "%", "seconds": "s", "milliseconds": "ms", "trainable parameters": ""}


def label(name: str, measure: Measure) -> str:
    """What a measure is called at an axis, with its unit.

    Parameters
    ----------
    name
        The measure's name, or ``'latency:DEVICE'``.
    measure
        What is known of it.

    Examples
    --------
    >>> from bloxdb.measures import RUN
    >>> label("test_top1", RUN["test_top1"])
    'test accuracy (%)'
    """
    if measure is LATENCY:
        words = f"latency on {name.partition(':')[2]}"
    else:
        words = _NAMES.get(name) or " ".join(_PARTS.get(part, part) for part in name.split("_"))
    unit = "multiply-accumulates" if name == "flops" else _UNITS.get(measure.unit, measure.unit)
    return f"{words} ({unit})" if unit else words
