"""What is written of a run as integers, and whether its end fits the epochs that are written."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from bloxdb.arguments import number
from bloxdb.counts import counted
from bloxdb.db.best import BEST_FIRST, LOSS, TOP1
from bloxdb.db.schema import EPOCH_MEASURES, RUN_MEASURES, Epoch
from bloxdb.db.statuses import FINISHED
from bloxdb.errors import QueryError, spelled
from bloxdb.measures import TOO_LONG, Measure
from bloxdb.runs.results import EpochResult, RunResult

Stored = dict[str, int | None]


def last_epoch(session: Session, run_id: int) -> int:
    """The last epoch of a run that is written; 0 if there is none."""
    return session.scalar(select(func.max(Epoch.epoch)).where(Epoch.run_id == run_id)) or 0


def stored_values(known: Mapping[str, Measure], measured: Mapping[str, float], where: str) -> Stored:
    """What was measured as stored integers; None for NaN, which is not measured.

    Parameters
    ----------
    known
        The measures by name.
    measured
        The values by name.
    where
        What was measured, as a sentence names it.

    Raises
    ------
    QueryError
        There is no such measure, or no such value of it.
    """
    stored: Stored = {}
    for name, given in measured.items():
        if name not in known:
            raise QueryError(
                f"{where} has {spelled(name)}, which is no measure; choose of: {', '.join(known)}"
            )
        value = number(given, f"{name} of {where}", finite=False)
        if problem := known[name].problem(value):
            raise QueryError(f"{name} of {where}: the value {value} {problem}")
        if not known[name].keeps(value):
            raise QueryError(f"{name} of {where}: the value {value} {TOO_LONG}")
        stored[name] = None if math.isnan(value) else known[name].rounded(value)
    return stored


def _shown(measure: Measure, stored: int | None) -> str:
    return "not measured" if stored is None else str(measure.natural(stored))


@dataclass(frozen=True)
class End:
    """The end of a run, to be compared with its epochs.

    Attributes
    ----------
    run_id, arch_id
        The run, and its architecture's index.
    epochs
        How many epochs its recipe has.
    result
        What was measured.
    stored
        The same as it is kept, by the names of measures.
    """

    run_id: int
    arch_id: int
    epochs: int
    result: RunResult
    stored: Stored

    def check(self, session: Session) -> None:
        """Refuse an end that does not fit the epochs that are written.

        Raises
        ------
        QueryError
            It lacks epochs of its recipe, a best epoch or a test, or its best epoch is another.
        """
        if self.result.status == FINISHED:
            self._check_whole(session)
        if self.result.best is not None:
            self._check_best(session, self.result.best)
            self._check_rank(session, self.result.best)

    def _check_whole(self, session: Session) -> None:
        done, which = last_epoch(session, self.run_id), f"the run of architecture {self.arch_id}"
        if done < self.epochs:
            raise QueryError(
                f"{which} has {done} of {counted(self.epochs, 'epoch')}, so that it is not finished; "
                "write the others, or say that it failed or diverged"
            )
        if self.result.best is None and done:
            raise QueryError(f"{which} is finished, and no best epoch is given; is_better_than finds it")
        lacking = [
            name for name, value in self.stored.items() if value is None and RUN_MEASURES[name].is_needed
        ]
        if lacking:
            raise QueryError(
                f"{which} is finished, and its {lacking[0]} is nan, which release files cannot say; give "
                "what was measured, or 0"
            )
        if not self.epochs:
            raise QueryError(
                f"{which} cannot be finished: its recipe has 0 epochs, which release files cannot say"
            )
        if self.result.test is None:
            raise QueryError(
                f"{which} is finished, and no test is given; give Metrics, with nan for what was not measured"
            )

    def _check_best(self, session: Session, best: EpochResult) -> None:
        """`QueryError` for a best epoch, or a run's accuracy of it, that was written with other values."""
        where = f"epoch {best.epoch} of architecture {self.arch_id}"
        given = stored_values(EPOCH_MEASURES, best.measures(), f"{where}, its best,")
        columns = [getattr(Epoch, EPOCH_MEASURES[name].column) for name in given]
        of_best = (Epoch.run_id == self.run_id, Epoch.epoch == best.epoch)
        written = session.execute(select(*columns).where(*of_best)).one_or_none()
        if written is None:
            raise QueryError(
                f"the run of architecture {self.arch_id} has no epoch {best.epoch}, its best, but "
                f"{last_epoch(session, self.run_id)}"
            )
        known = dict(zip(given, written, strict=True))
        said = [*given.items(), *((name, self.stored[name]) for name in self.stored if name in known)]
        for name, value in said:
            if value != known[name]:
                there, here = (_shown(EPOCH_MEASURES[name], n) for n in (known[name], value))
                raise QueryError(
                    f"{name} of {where}, its best, is {here} in the run's result, and was written as "
                    f"{there}; give the epoch as it was written"
                )

    def _check_rank(self, session: Session, best: EpochResult) -> None:
        """`QueryError` for a best epoch that is worse than another one."""
        query = select(Epoch.epoch, TOP1, LOSS).where(Epoch.run_id == self.run_id).order_by(*BEST_FIRST)
        first = session.execute(query.limit(1)).one()
        given = session.execute(query.where(Epoch.epoch == best.epoch)).one()
        if given[1:] != first[1:]:  # of equal ones, as they are kept, either will do
            raise QueryError(
                f"the best epoch of architecture {self.arch_id} is {first.epoch} by its validation, and not "
                f"{best.epoch}; is_better_than finds it"
            )
