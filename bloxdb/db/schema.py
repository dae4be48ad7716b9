"""The ORM classes: one a table of the database.

Accuracies read as percent and losses as they are. `Epoch` stores them as integers (thousandths of a percent,
millionths of a loss), and shows the natural numbers through virtual generated columns.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import datetime
from functools import cache
from typing import Any, Self

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Computed,
    Double,
    ForeignKey,
    Index,
    Integer,
    String,
    Text,
    UniqueConstraint,
    false,
)
from sqlalchemy.orm import Mapped, mapped_column, relationship

from bloxdb import space
from bloxdb.counts import Counts, counted
from bloxdb.db.base import Base as Base
from bloxdb.db.base import known
from bloxdb.db.damage import kinds_told
from bloxdb.db.database import Database, asked
from bloxdb.db.statuses import STATUSES
from bloxdb.extras import provided
from bloxdb.measures import COSTS, ENVIRONMENT, EPOCH, RUN, Measure


class Block(Base):
    """One of the 45 distinct cells."""

    __tablename__ = "blocks"

    id: Mapped[int] = mapped_column(
        Integer, primary_key=True, autoincrement=False, doc="the block's number, 0 … 44"
    )
    scheme: Mapped[str] = mapped_column(String(3), doc="how its operations are wired, `ST1` … `ST6`")
    op1: Mapped[str] = mapped_column(String(8), doc="the first operation")
    op2: Mapped[str | None] = mapped_column(String(8), doc="the second operation; NULL for ST1")
    cell: Mapped[str] = mapped_column(String(32), doc="the canonical raw cell")

    def _told(self) -> str:
        ops = self.op1 if self.op2 is None else f"{self.op1}, {self.op2}"
        return f"Block {self.id}: {self.scheme}({ops})"


class StaticInfo(Base):
    """FLOPs (multiply-accumulates for one 3x32x32 image) and parameters of an architecture."""

    __tablename__ = "static_info"
    __table_args__ = (Index(None, "flops"), Index(None, "params"))

    arch_id: Mapped[int] = mapped_column(ForeignKey("archs.id"), primary_key=True, doc="the architecture")
    flops: Mapped[int] = mapped_column(BigInteger, doc="the cost of one forward pass")
    params: Mapped[int] = mapped_column(BigInteger, doc="the size of the network")


class Arch(Base):
    """One architecture.

    Attributes
    ----------
    id
        The architecture index, 0 … 91124.
    hash
        `model_hash`, 32 hex digits.
    vec
        The canonical vector, nested lists.
    flops, params
        Multiply-accumulates for one image, and trainable parameters.
    runs
        All its runs, by recipe and seed.
    latencies
        Measured latencies, one a device.
    """

    __tablename__ = "archs"

    id: Mapped[int] = mapped_column(
        Integer,
        primary_key=True,
        autoincrement=False,
        doc="the architecture index, `b1 + 45*b2 + 2025*b3` of its blocks",
    )
    hash: Mapped[str] = mapped_column(String(32), unique=True, doc="`model_hash`, 32 hex digits")
    block1_id: Mapped[int] = mapped_column(ForeignKey("blocks.id"), doc="the block of the first stage")
    block2_id: Mapped[int] = mapped_column(ForeignKey("blocks.id"), doc="the block of the second stage")
    block3_id: Mapped[int] = mapped_column(ForeignKey("blocks.id"), doc="the block of the third stage")
    vec_text: Mapped[str] = mapped_column("vec", Text, doc="the canonical vector as JSON")

    block1: Mapped[Block] = relationship(foreign_keys=[block1_id])
    block2: Mapped[Block] = relationship(foreign_keys=[block2_id])
    block3: Mapped[Block] = relationship(foreign_keys=[block3_id])
    static_info: Mapped[StaticInfo] = relationship()
    runs: Mapped[list[Run]] = relationship(
        back_populates="arch", order_by="Run.recipe_id, Run.seed", viewonly=True
    )
    latencies: Mapped[list[Latency]] = relationship(order_by="Latency.device_id", viewonly=True)

    @classmethod
    def get(cls, key: Any, db: Database | None = None) -> Self | None:
        """Look an architecture up.

        Parameters
        ----------
        key
            A vector (any that describes the network), a model hash, or an architecture index;
            `bloxdb.space.keys` has a table of what each kind of key gives.
        db
            The database to ask; the current one if not given.

        Returns
        -------
        Arch or None
            None if there is no architecture of this hash or index, or the vector has no path.

        Raises
        ------
        InvalidArchError
            The key is malformed.
        """
        index = space.find_arch(key)
        if index is None:
            return None
        return asked(db).reader.get(cls, index, populate_existing=True)

    def __index__(self) -> int:
        """Its index, so that an `Arch` can stand wherever an index can."""
        return self.id

    @property
    def vec(self) -> space.ArchVec:
        """The canonical vector."""
        with kinds_told():
            vec: space.ArchVec = json.loads(self.vec_text)
        return vec

    @property
    def blocks(self) -> tuple[Block, Block, Block]:
        """The block of each stage."""
        return self.block1, self.block2, self.block3

    @property
    def flops(self) -> int:
        """Multiply-accumulates for one 3x32x32 image."""
        return self.static_info.flops

    @property
    def params(self) -> int:
        """Trainable parameters."""
        return self.static_info.params

    @property
    def epochs(self) -> list[Epoch]:
        """The epochs of its run; of the lowest seed where there are several, empty without a run.

        With several recipes, of the run of the first of them. For the curves of many architectures,
        `bloxdb.to_arrow` and its kin with ``archs`` and ``columns`` take a fraction of the time of a loop.
        """
        return self.runs[0].epochs if self.runs else []

    def _repr_html_(self) -> str:
        from bloxdb.db.card import card_of

        return card_of(self)

    def _told(self) -> str:
        costs = known(
            lambda: f"{self.flops / 1e6:.1f} MFLOPs, {self.params / 1e6:.2f} M params", "costs not loaded"
        )
        runs = known(lambda: counted(len(self.runs), "run"), "runs not loaded")
        return f"Arch {self.id} {self.hash[:8]}… {self.vec_text}: {costs}, {runs}"


class Env(Base):
    """The software and hardware of runs: one row a distinct environment, in the release's 12 fields."""

    __tablename__ = "envs"
    __table_args__ = (UniqueConstraint(*ENVIRONMENT, name="uq_envs_fields"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, doc="the environment's number")
    codebase_commit: Mapped[str] = mapped_column(Text, doc="the commit of the code that trained")
    codebase_version: Mapped[str] = mapped_column(Text, doc="the version of the code that trained")
    cuda: Mapped[str] = mapped_column(Text, doc="the CUDA version of the driver")
    driver: Mapped[str] = mapped_column(Text, doc="the version of the GPU's driver")
    gpu: Mapped[str] = mapped_column(Text, doc="the GPU's name, or `cpu:` and the processor's")
    platform: Mapped[str] = mapped_column(Text, doc="the operating system")
    ptflops_version: Mapped[str] = mapped_column(Text, doc="the version of ptflops")
    python: Mapped[str] = mapped_column(Text, doc="the version of Python")
    torch_commit: Mapped[str] = mapped_column(Text, doc="the commit of torch")
    torch_cuda_version: Mapped[str] = mapped_column(Text, doc="the CUDA version that torch was built for")
    torch_version: Mapped[str] = mapped_column(Text, doc="the version of torch")
    torchvision_version: Mapped[str] = mapped_column(Text, doc="the version of torchvision")

    def _told(self) -> str:
        return f"Env {self.id}: {self.gpu}, torch {self.torch_version}, Python {self.python}"


class Recipe(Base):
    """What runs were trained on and how.

    `config` has the fields of the trainer's recipe, without those that came later where they are as runs were
    before, and `digest` is the SHA-256 of it as JSON; both are NULL where the runs came with release files,
    which do not say.
    """

    __tablename__ = "recipes"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, doc="the recipe's number")
    name: Mapped[str] = mapped_column(String(200), unique=True, doc="what it is called by, as `cifar100-200`")
    dataset: Mapped[str] = mapped_column(String(200), doc="the data set's name")
    epochs: Mapped[int] = mapped_column(doc="epochs of a run")
    train_images: Mapped[int | None] = mapped_column(doc="images that train; NULL if not known")
    val_images: Mapped[int | None] = mapped_column(doc="images that validate; NULL if not known")
    test_images: Mapped[int | None] = mapped_column(doc="images that test; NULL if not known")
    config: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True), doc="the fields of the trainer's recipe; NULL if imported"
    )
    digest: Mapped[str | None] = mapped_column(
        String(64), doc="SHA-256 of `config`, 64 hex digits; NULL if imported"
    )
    first_epoch_is_best: Mapped[bool] = mapped_column(
        server_default=false(),
        default=False,
        doc="whether epoch 1 of its runs has the best epoch's validation instead of its own",
    )

    def _told(self) -> str:
        return f"Recipe {self.name}: {self.dataset}, {Counts(epochs=self.epochs)}"


_all_costs = cache(space.all_costs)


def _cost(which: int) -> Callable[[Any], int]:
    """A column's default: FLOPs (0) or parameters (1) of the row's architecture."""

    def of_row(context: Any) -> int:
        return int(_all_costs()[context.get_current_parameters()["arch_id"], which])

    return of_row


class Run(Base):
    """One training of an architecture: accuracies in percent, `train_time_s` in whole seconds.

    `flops` and `params` are those of the architecture, here too so that one index finds the best under a
    limit.

    `message` says why a run failed, or why it was given back to be trained once more.

    `val_top1` is that of the best epoch, whose weights made `test_top1`, `test_top5` and `test_loss`.
    """

    __tablename__ = "runs"
    __table_args__ = (
        UniqueConstraint("arch_id", "recipe_id", "seed"),
        CheckConstraint(f"status IN {STATUSES}", name="status"),
        Index(None, "recipe_id", "seed", "arch_id"),
        # each answers "the best by this under a limit of FLOPs or parameters" alone, from the best on
        *(Index(None, name, "flops", "params") for name in RUN),
        Index(None, "flops", "params"),
        Index(None, "params", "flops"),
        # all that ranks the runs of some architectures, as those that are fast on a device, in one place
        Index(
            "ix_runs_of_archs",
            *("arch_id", "status", "recipe_id", "seed", "test_top1", "val_top1", "test_top5", "test_loss"),
            *("train_time_s", "flops", "params"),
        ),
    )

    id: Mapped[int] = mapped_column(Integer, primary_key=True, doc="the run's number")
    arch_id: Mapped[int] = mapped_column(ForeignKey("archs.id"), doc="the architecture")
    recipe_id: Mapped[int] = mapped_column(ForeignKey("recipes.id"), doc="what it was trained on and how")
    seed: Mapped[int] = mapped_column(BigInteger, doc="the seed of all random choices")
    env_id: Mapped[int | None] = mapped_column(
        ForeignKey("envs.id"), doc="where it was trained; NULL if not known"
    )
    status: Mapped[str] = mapped_column(String(8), doc=f"how far it is: {', '.join(STATUSES)}")
    best_epoch: Mapped[int | None] = mapped_column(doc="the epoch of the best validation")
    val_top1: Mapped[float | None] = mapped_column(Double, doc="validation accuracy of the best epoch")
    test_top1: Mapped[float | None] = mapped_column(Double, doc="test accuracy with the best epoch's weights")
    test_top5: Mapped[float | None] = mapped_column(Double, doc="test top-5 accuracy with the same weights")
    test_loss: Mapped[float | None] = mapped_column(Double, doc="test cross-entropy with the same weights")
    train_time_s: Mapped[int | None] = mapped_column(
        BigInteger, doc="training and validation, without the test"
    )
    device_workers: Mapped[int | None] = mapped_column(
        doc="how many workers shared its device, itself counted; NULL if not known"
    )
    flops: Mapped[int] = mapped_column(BigInteger, default=_cost(0), doc="a copy of the architecture's")
    params: Mapped[int] = mapped_column(BigInteger, default=_cost(1), doc="a copy of the architecture's")
    started_at: Mapped[datetime | None] = mapped_column(doc="when it was first claimed, UTC")
    finished_at: Mapped[datetime | None] = mapped_column(doc="when it ended, UTC")
    heartbeat_at: Mapped[datetime | None] = mapped_column(doc="the last sign of life, UTC")
    worker: Mapped[str | None] = mapped_column(
        Text, doc="who trains it or did, `MACHINE:PID#…`; after the # is what tells its claim from others"
    )
    message: Mapped[str | None] = mapped_column(Text, doc="why it failed, or was given back once")

    arch: Mapped[Arch] = relationship(back_populates="runs")
    recipe: Mapped[Recipe] = relationship()
    env: Mapped[Env | None] = relationship()
    epochs: Mapped[list[Epoch]] = relationship(order_by="Epoch.epoch", viewonly=True)

    def load_network(self, folder: str | os.PathLike[str] | None = None, *, epoch: int | None = None) -> Any:
        """The trained network, where its weights were kept (`bloxdb train --keep-weights`).

        Parameters
        ----------
        folder
            The folder of weights; ``DATABASE.weights`` beside the database if not given.
        epoch
            The epoch whose weights are meant; the best one, which was tested, if not given.

        Returns
        -------
        torch.nn.Module
            The network on the CPU, in eval mode.

        Raises
        ------
        MissingDataError
            The weights of this epoch are not there.
        WeightsError
            They are damaged, or of another run.
        QueryError
            The run has no best epoch, or a server's database was given no folder.
        MissingExtraError
            torch is not installed.
        """
        return provided("load_network")(self, folder, epoch=epoch)

    def _told(self) -> str:
        accuracy = "" if self.test_top1 is None else f", test_top1 {self.test_top1:.2f} %"
        return (
            f"Run {self.id}: arch {self.arch_id}, recipe {self.recipe_id}, seed {self.seed}, "
            f"{self.status}{accuracy}"
        )


def _shown(name: str, meaning: str) -> Any:
    """A column that shows a stored integer in its natural unit."""
    measure = EPOCH[name]
    # the cast makes both SQLite and PostgreSQL divide floats, the one and the same double
    natural = f"CAST({measure.column} AS DOUBLE PRECISION) / {measure.scale}"
    return mapped_column(Double, Computed(natural), doc=meaning)


class Epoch(Base):
    """One epoch of a run: `epoch` counts from 1; accuracies in percent."""

    __tablename__ = "epochs"
    __table_args__ = {"sqlite_with_rowid": False}

    run_id: Mapped[int] = mapped_column(
        ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True, doc="the run"
    )
    epoch: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False, doc="counted from 1")
    train_top1_milli: Mapped[int | None] = mapped_column(doc="`train_top1` as it is stored")
    train_top5_milli: Mapped[int | None] = mapped_column(doc="`train_top5` as it is stored")
    train_loss_micro: Mapped[int | None] = mapped_column(BigInteger, doc="`train_loss` as it is stored")
    val_top1_milli: Mapped[int | None] = mapped_column(doc="`val_top1` as it is stored")
    val_top5_milli: Mapped[int | None] = mapped_column(doc="`val_top5` as it is stored")
    val_loss_micro: Mapped[int | None] = mapped_column(BigInteger, doc="`val_loss` as it is stored")
    train_top1: Mapped[float | None] = _shown("train_top1", "accuracy, averaged over the epoch as it ran")
    train_top5: Mapped[float | None] = _shown("train_top5", "top-5 accuracy of the same")
    train_loss: Mapped[float | None] = _shown("train_loss", "cross-entropy of the same")
    val_top1: Mapped[float | None] = _shown("val_top1", "accuracy on validation images at the epoch's end")
    val_top5: Mapped[float | None] = _shown("val_top5", "top-5 accuracy of the same")
    val_loss: Mapped[float | None] = _shown("val_loss", "cross-entropy of the same")

    def _told(self) -> str:
        return (
            f"Epoch {self.epoch} of run {self.run_id}: train_top1 {self.train_top1}, "
            f"val_top1 {self.val_top1}, val_loss {self.val_loss}"
        )


def _measures(model: type[Base], known: dict[str, Measure]) -> dict[str, Measure]:
    """The measures that a table has columns of, in its order."""
    names = (column.name for column in model.__table__.columns)
    return {name: known[name] for name in names if name in known}


EPOCH_MEASURES = _measures(Epoch, EPOCH)
"""Measures of epochs, by name, in the order of the table."""

RUN_MEASURES = _measures(Run, {**RUN, **COSTS})
"""Measures that a run can be ranked by, by name, in the order of the table: its own, and its architecture's.
"""


class Device(Base):
    """A device that latencies were measured on."""

    __tablename__ = "devices"

    id: Mapped[int] = mapped_column(Integer, primary_key=True, doc="the device's number")
    name: Mapped[str] = mapped_column(String(200), unique=True, doc="what it is called by")
    settings: Mapped[dict[str, Any] | None] = mapped_column(
        JSON(none_as_null=True),
        doc="how latencies were measured: batch, threads, precision, torch's version, …; NULL if not known",
    )

    def _told(self) -> str:
        return f"Device {self.name}"


class Latency(Base):
    """Milliseconds that one inference takes on a device: the median of some, and their spread if known.

    `spread_ms` is the range of the middle half.
    """

    __tablename__ = "latencies"
    __table_args__ = (Index(None, "device_id", "latency_ms", "arch_id"),)

    arch_id: Mapped[int] = mapped_column(ForeignKey("archs.id"), primary_key=True, doc="the architecture")
    device_id: Mapped[int] = mapped_column(ForeignKey("devices.id"), primary_key=True, doc="the device")
    latency_ms: Mapped[float] = mapped_column(Double, doc="the median time of one inference")
    spread_ms: Mapped[float | None] = mapped_column(
        Double, doc="the range of the middle half; NULL if not known"
    )

    device: Mapped[Device] = relationship()

    def _told(self) -> str:
        device = known(lambda: self.device.name, f"device {self.device_id}")
        return f"Latency on {device}: {self.latency_ms} ms"
