"""What a run can be, from waiting to its end."""

from __future__ import annotations

PENDING, RUNNING, FINISHED, FAILED, DIVERGED = "pending", "running", "finished", "failed", "diverged"

STATUSES = (PENDING, RUNNING, FINISHED, FAILED, DIVERGED)
"""What a run can be: it waits, is trained, has its results, cannot be trained, or its loss was not finite.

`bloxdb.runs` has the ways from one to another.
"""

UNFINISHED = (PENDING, RUNNING)
"""The statuses of runs that somebody has yet to train to their end."""

ENDED = (FINISHED, DIVERGED, FAILED)
"""The statuses of runs that nobody trains any more."""

UNSUCCESSFUL = (FAILED, DIVERGED)
"""The statuses of runs that did not come to their end, and can be tried again."""
