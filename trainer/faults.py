"""What is to blame where a run cannot be computed; `booking` says what becomes of the run then."""

from __future__ import annotations

from dataclasses import dataclass

from bloxdb.errors import BloxError, one_line

from .devices import is_of_a_device, is_out_of_memory

RUN, MEMORY, DEVICE, PLACE = "run", "memory", "device", "place"
"""What is to blame for an error: the run, a want of memory, a device, or the machine that computes."""


@dataclass(frozen=True)
class Fault:
    """An error in the course of a run: one of `RUN`, `MEMORY`, `DEVICE` and `PLACE`, and a sentence."""

    of: str
    told: str


class FaultError(Exception):
    """A fault that another process told of."""

    def __init__(self, fault: Fault) -> None:
        super().__init__(fault.told)
        self.fault = fault


def fault_of(error: Exception) -> Fault:
    """What is to blame for an error."""
    if isinstance(error, FaultError):
        return error.fault
    told = one_line(error)
    if isinstance(error, BloxError | OSError):
        return Fault(PLACE, told)
    if is_out_of_memory(error):
        return Fault(MEMORY, told)
    return Fault(DEVICE if is_of_a_device(error) else RUN, told)
