"""What a finished run cannot be without: measures of which no value says that they were not measured.

Release files have whole numbers for them and no NaN, so that nothing could be exported with such a run.
Nothing brings one in; SQL can make one.
"""

from __future__ import annotations

from sqlalchemy import ColumnElement, and_

from bloxdb.counts import counted
from bloxdb.db.schema import RUN_MEASURES, Run
from bloxdb.db.statuses import FINISHED
from bloxdb.errors import ReleaseError

NEEDED_OF_RUNS = tuple(name for name, measure in RUN_MEASURES.items() if measure.is_needed)
"""Their names."""


def is_without(name: str) -> ColumnElement[bool]:
    """Whether a run is finished and lacks one, for SQL.

    Parameters
    ----------
    name
        One of `NEEDED_OF_RUNS`.
    """
    return and_(Run.status == FINISHED, getattr(Run, name).is_(None))


def without_needed(name: str, run_id: int, arch_id: int, seed: int, others: int) -> ReleaseError:
    """The error of an export for finished runs that lack one.

    Parameters
    ----------
    name
        One of `NEEDED_OF_RUNS`.
    run_id, arch_id, seed
        The first of the runs, its architecture and its seed.
    others
        How many more there are.
    """
    more = f" (and {counted(others, 'other')})" if others else ""
    return ReleaseError(
        f"run {run_id}, of architecture {arch_id} and seed {seed}{more}, is finished and lacks {name}, which "
        "files cannot leave out; write what it was, or 0 (`with db.transaction() as session: "
        f"session.get(bloxdb.Run, {run_id}).{name} = 0`), or name other seeds"
    )
