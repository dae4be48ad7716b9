"""FLOPs and parameters that files tell: those that the search space has, in the database too."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from sqlalchemy import update
from sqlalchemy.orm import Session

from bloxdb.db.references import costs_of
from bloxdb.db.schema import Run, StaticInfo
from bloxdb.measures import Array
from bloxdb.release.changes import Changes
from bloxdb.space.costs import check_costs


def take_costs(
    session: Session, ids: Array, costs: Mapping[str, Array], changes: Changes, source: str
) -> int:
    """Compare a file's costs with those of the search space, and bring the database's to them.

    A database has others only where somebody changed it; then the file's are as any value that contradicts.

    Parameters
    ----------
    session
        The transaction.
    ids
        Architecture indices, int64 (n,).
    costs
        Of each measure of costs, what the file has, (n,).
    changes
        Counts, and collects what contradicts.
    source
        The file, for errors.

    Returns
    -------
    int
        Of how many architectures the database had others.

    Raises
    ------
    BloxFormatError
        A value is not the one that the search space has, which nothing overrides.
    """
    check_costs(ids, costs, source)
    known = costs_of(session, ids)
    new = zip(ids.tolist(), costs["flops"].tolist(), costs["params"].tolist(), strict=True)
    others = []
    for index, *told in new:
        if known[index] == tuple(told):
            continue
        changes.differs(
            f"{Path(source).name}, architecture {index}: flops and params", known[index], tuple(told)
        )
        others.append({"arch_id": index, "flops": told[0], "params": told[1]})
    if others:
        session.execute(update(StaticInfo), others)
    for other in others:
        values = {measure: other[measure] for measure in costs}
        session.execute(update(Run).where(Run.arch_id == other["arch_id"]).values(values))
    return len(others)
