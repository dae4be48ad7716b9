"""Latencies: measured in milliseconds, and stored as they are measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from bloxdb.trainer import switches
from bloxdb.trainer.latency import Measured, Setting, measure, measure_all
from bloxdb.trainer.recipe import PRECISIONS
from sqlalchemy import update

import bloxdb
from bloxdb import Database, space
from tests.trainer.helpers import QUICK

FAST = Setting(runs=3, warmup=0)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("device", ["cpu"] + ["cuda"] * torch.cuda.is_available())
def test_every_precision_is_measured_on_every_device(device: str, precision: str) -> None:
    before = switches._switches()
    for graphs in (False, True)[: 1 + (device == "cuda")]:
        setting = Setting(device, runs=3, warmup=0, precision=precision, graphs=graphs)
        assert 0.01 < measure(space.arch_vec(QUICK), setting).latency_ms < 10_000
    assert switches._switches() == before


def test_a_latency_has_the_decimals_that_release_files_keep() -> None:
    found = measure(space.arch_vec(QUICK), FAST)
    for value in (found.latency_ms, found.spread_ms):
        assert value == round(value, 6)
    assert found.spread_ms >= 0
    assert 0.1 < found.latency_ms < 10_000
    assert measure(space.arch_vec(QUICK), Setting(runs=1, warmup=0)).spread_ms == 0


def test_what_is_measured_again_takes_the_place_of_what_was(empty_db: Database) -> None:
    told: list[tuple[int, Measured]] = []
    for name in ("mine", "other", "mine"):
        measure_all(empty_db, name, [QUICK, 406], FAST, lambda *found: told.append(found))
    assert [arch for arch, _ in told] == [QUICK, 406] * 3
    rows = empty_db.rows(
        "SELECT name, arch_id, latency_ms, spread_ms FROM latencies JOIN devices ON devices.id = device_id ORDER BY 1, 2"
    )
    assert [(row["name"], row["arch_id"]) for row in rows] == [
        (name, arch) for name in ("mine", "other") for arch in (QUICK, 406)
    ]
    assert [Measured(row["latency_ms"], row["spread_ms"]) for row in rows] == [
        found for _, found in (*told[4:], *told[2:4])
    ]


def test_a_device_that_is_unknown_is_refused_before_anything_is_measured() -> None:
    with pytest.raises(bloxdb.QueryError, match="there is no device 'tpu'; choose one of: cpu"):
        Setting(torch_device="tpu")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        *(({"precision": wrong}, "there is no precision") for wrong in ("fp16", "FP32", "")),
        ({"precision": None}, "precision of a recipe is a text, not None"),
        *(({name: 0}, f"{name} of a setting is 1 or more, not 0") for name in ("batch", "runs", "classes")),
        ({"warmup": -1}, "warmup of a setting is 0 or more, not -1"),
        *(({name: 1.5}, "is an integer, not 1.5") for name in ("batch", "runs", "warmup", "classes")),
    ],
)
def test_a_setting_that_cannot_be_measured_is_refused(given: dict[str, Any], told: str) -> None:
    with pytest.raises(bloxdb.QueryError, match=told):
        Setting(**given)


def test_graphs_are_refused_where_there_are_none() -> None:
    with pytest.raises(bloxdb.QueryError, match="graphs are of GPUs"):
        Setting(torch_device="cpu", graphs=True)


def test_a_device_knows_how_it_was_measured_and_is_measured_so_again(empty_db: Database) -> None:
    def ignored(arch: int, found: Measured) -> None:
        """Nobody looks at these."""

    measure_all(empty_db, "mine", [QUICK], FAST, ignored)
    (device,) = empty_db.reader.query(bloxdb.Device)
    assert device.settings == {
        "on": "cpu",
        "batch": 1,
        "threads": torch.get_num_threads(),
        "precision": "fp32",
        "layout": "channels_last",
        "graphs": False,
        "torch": torch.__version__,
    }
    with pytest.raises(bloxdb.QueryError, match=r"of mine were measured otherwise \(batch 1 there, 2 here\)"):
        measure_all(empty_db, "mine", [QUICK], replace(FAST, batch=2), ignored)
    with empty_db.transaction() as session:  # as in a database of before
        session.execute(update(bloxdb.Device).values(settings=None))
    measure_all(empty_db, "mine", [QUICK], replace(FAST, batch=2), ignored)
    assert empty_db.rows("SELECT settings FROM devices") == [{"settings": None}]  # not all are known


def test_a_device_of_nothing_is_not_added(empty_db: Database) -> None:
    def failing(arch: int, found: Measured) -> None:
        raise KeyboardInterrupt

    measure_all(empty_db, "mine", [], FAST, failing)
    with pytest.raises(bloxdb.InvalidArchError):
        measure_all(empty_db, "mine", [-1], FAST, failing)
    assert empty_db.rows("SELECT name FROM devices") == []
    with pytest.raises(KeyboardInterrupt):  # with its first latency it is
        measure_all(empty_db, "mine", [QUICK, 406], FAST, failing)
    assert empty_db.rows("SELECT name, arch_id FROM devices JOIN latencies ON device_id = id") == [
        {"name": "mine", "arch_id": QUICK}
    ]


def test_what_another_measured_otherwise_meanwhile_is_left_alone(empty_db: Database) -> None:
    """Two begin to measure a device that is new, each in its own way."""
    told: list[int] = []

    def other(arch: int, found: Measured) -> None:
        told.append(arch)
        with empty_db.transaction() as session:
            session.execute(update(bloxdb.Device).values(settings=replace(FAST, batch=2).facts()))

    with pytest.raises(bloxdb.QueryError, match=r"measured otherwise \(batch 2 there, 1 here\)"):
        measure_all(empty_db, "mine", [QUICK, 406], FAST, other)
    assert told == [QUICK]
    assert empty_db.rows("SELECT arch_id FROM latencies") == [{"arch_id": QUICK}]
