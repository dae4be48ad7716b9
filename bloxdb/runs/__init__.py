"""The life of a run in the database, whoever trains it; nothing here knows torch.

A run is `pending` until a worker claims it, `running` while it is trained, and ends as `finished`, `diverged`
(its loss was not finite) or `failed` (it cannot be trained). What hit a device may not come again: such a run
goes back to `pending` once, with a message, and fails only the second time:

=============  ====================================================  ===========
from           by                                                    to
=============  ====================================================  ===========
(none)         `RunQueue.fill`                                       `pending`
`pending`      `RunQueue.claim`                                      `running`
`running`      `RunQueue.claim`, where its worker is gone            `running`
`running`      `RunRecord.release`                                   `pending`
`running`      `RunRecord.finish`                                    `finished`
`running`      `RunRecord.finish`, of a result that says so          `diverged`
`running`      `RunRecord.fail`                                      `failed`
`running`      `RunRecord.fail`, where once more may go better       `pending`
`failed`       `retry`                                               `pending`
`diverged`     `retry`                                               `pending`
=============  ====================================================  ===========

An import of results with ``replace=True`` makes runs of every status `finished`.

A training loop of your own uses it like this. Any number of processes may do so at once; each run is trained
by one:

>>> import tempfile
>>> from pathlib import Path
>>> import bloxdb
>>> from bloxdb.runs import EpochResult, Heartbeat, Metrics, RecipeFacts, RunQueue, RunResult
>>> folder = tempfile.TemporaryDirectory()
>>> db = bloxdb.create(Path(folder.name) / "mine.db", current=False)
>>> recipe = RecipeFacts("mine-2", dataset="cifar100", epochs=2)
>>> queue = RunQueue(db, ["39554afd1b33a44663e653ad10137b9a", 405], recipe, seed=0)
>>> queue.fill()
<FillReport: 2 new runs wait>
>>> while (run := queue.claim()) is not None:
...     with Heartbeat(run):
...         run.begin()
...         for number in (1, 2):
...             train, val = Metrics(40.0, 70.0, 2.1), Metrics(38.5 + number, 69.0, 2.2)  # yours
...             epoch = EpochResult(number, train, val)
...             run.epoch(epoch)
...         run.finish(RunResult(False, epoch, test=Metrics(39.9, 70.2, 2.15), train_time=12.3))
True
True
>>> [(row["arch_id"], row["val_top1"], row["test_top1"]) for row in bloxdb.top(db=db)]
[(0, 40.5, 39.9), (405, 40.5, 39.9)]
>>> db.close()
>>> folder.cleanup()
"""

from bloxdb.db.recipes import Images, RecipeFacts
from bloxdb.db.references import environment_id
from bloxdb.errors import RunLostError
from bloxdb.runs.heartbeat import Heartbeat, Intervals
from bloxdb.runs.processes import may_live, worker_name
from bloxdb.runs.queue import FillReport, RunQueue
from bloxdb.runs.record import RunRecord
from bloxdb.runs.results import EpochResult, Metrics, RunResult
from bloxdb.runs.status import RetryReport, failures, gaps, overview, retry, workers

__all__ = [
    "EpochResult",
    "FillReport",
    "Heartbeat",
    "Images",
    "Intervals",
    "Metrics",
    "RecipeFacts",
    "RetryReport",
    "RunLostError",
    "RunQueue",
    "RunRecord",
    "RunResult",
    "environment_id",
    "failures",
    "gaps",
    "may_live",
    "overview",
    "retry",
    "worker_name",
    "workers",
]
