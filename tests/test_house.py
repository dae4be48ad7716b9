"""The house as CONTRIBUTING tells it: its rooms, its contracts, its commands, and where the tests of a module are."""

from __future__ import annotations

import itertools
import os
import re
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TOLD = (ROOT / "CONTRIBUTING.md").read_text()
CONTRACTS = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]

HELD_BY = {
    # modules whose rule shows only in what others make of it, and the tests that hold it
    "bloxdb/arrow_checks.py": "tests/test_parquet_lies.py",
    "bloxdb/arrow_reading.py": "tests/test_parquet_claims.py",
    "bloxdb/arrow_tables.py": "tests/test_parquet_lies.py",
    "bloxdb/care/blame.py": "tests/test_lying_values.py",
    "bloxdb/care/checkpoints.py": "tests/trainer/test_left_checkpoints.py",
    "bloxdb/care/trees.py": "tests/care/test_strays.py",
    "bloxdb/cli/care.py": "tests/care/test_checking.py",
    "bloxdb/cli/clusters.py": "tests/trainer/test_driver.py",
    "bloxdb/cli/explore.py": "tests/web/test_serving.py",
    "bloxdb/codecs/columns.py": "tests/codecs/test_golden.py",
    "bloxdb/compat/info.py": "tests/compat/test_infos.py",
    "bloxdb/dataset/base.py": "tests/dataset/test_dataset.py",
    "bloxdb/dataset/cover.py": "tests/dataset/test_folder.py",
    "bloxdb/dataset/many.py": "tests/dataset/test_dataset.py",
    "bloxdb/dataset/opening.py": "tests/dataset/test_folder.py",
    "bloxdb/dataset/source.py": "tests/dataset/test_dataset.py",
    "bloxdb/db/card.py": "tests/draw/test_pages.py",
    "bloxdb/db/damage.py": "tests/test_damaged_while_open.py",
    "bloxdb/db/engines.py": "tests/db/test_dialects.py",
    "bloxdb/db/firsts.py": "tests/test_overwritten.py",
    "bloxdb/db/leaderboard.py": "tests/test_queries.py",
    "bloxdb/db/statuses.py": "tests/runs/test_status.py",
    "bloxdb/db/values.py": "tests/test_lying_values.py",
    "bloxdb/draw/blocks.py": "tests/draw/test_networks.py",
    "bloxdb/draw/palette.py": "tests/draw/test_networks.py",
    "bloxdb/draw/svg.py": "tests/draw/test_output.py",
    "bloxdb/fields.py": "tests/test_lookups.py",
    "bloxdb/care/fitting.py": "tests/care/test_cut_off.py",
    "bloxdb/labels.py": "tests/web/test_answers.py",
    "bloxdb/care/mending.py": "tests/care/test_cut_off.py",
    "bloxdb/plot/axes.py": "tests/plot/test_arguments.py",
    "bloxdb/plot/learning.py": "tests/plot/test_figures.py",
    "bloxdb/plot/points.py": "tests/plot/test_figures.py",
    "bloxdb/plot/scatter.py": "tests/plot/test_figures.py",
    "bloxdb/plot/stages.py": "tests/plot/test_figures.py",
    "bloxdb/release/costs.py": "tests/release/test_importer.py",
    "bloxdb/care/pages.py": "tests/care/test_strays.py",
    "bloxdb/care/places.py": "tests/trainer/test_left_checkpoints.py",
    "bloxdb/care/repairing.py": "tests/care/test_checking.py",
    "bloxdb/care/wrong_runs.py": "tests/care/test_checking.py",
    "bloxdb/db/needed.py": "tests/release/test_exporter.py",
    "bloxdb/runs/ends.py": "tests/runs/test_record.py",
    "bloxdb/selection.py": "tests/test_queries.py",
    "bloxdb/warn.py": "tests/dataset/test_folder.py",
    "bloxdb/web/facts.py": "tests/web/test_answers.py",
    "bloxdb/web/kept.py": "tests/web/test_plugin.py",
    "bloxdb/web/numbers.py": "tests/web/test_answers.py",
    "bloxdb/web/words.py": "tests/web/test_plugin.py",
    "trainer/booking.py": "tests/trainer/test_worker.py",
    "trainer/cluster.py": "tests/trainer/test_driver.py",
    "trainer/course.py": "tests/trainer/test_worker.py",
    "trainer/faults.py": "tests/trainer/test_worker.py",
    "trainer/identity.py": "tests/trainer/test_worker.py",
    "trainer/images.py": "tests/trainer/test_data.py",
    "trainer/naming.py": "tests/trainer/test_recipe.py",
}


def modules() -> list[Path]:
    paths = [path for folder in ("bloxdb", "trainer") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [path.relative_to(ROOT) for path in paths if not path.name.startswith("__")]


def address(module: Path) -> Path:
    """Where the tests of a module are."""
    inside = module.parts[1:-1] if module.parts[0] == "bloxdb" else module.parts[:-1]
    return Path("tests", *inside, f"test_{module.name}")


def test_each_module_has_tests_at_its_address_or_is_held_by_others() -> None:
    without = [module.as_posix() for module in modules() if not (ROOT / address(module)).exists()]
    assert sorted(HELD_BY) == without, (
        "a module without tests at its address is to be in HELD_BY, and no other"
    )
    assert [path for path in HELD_BY.values() if not (ROOT / path).exists()] == []


def test_each_floor_of_the_contract_has_its_rooms_in_the_table_in_order() -> None:
    layers = next(contract for contract in CONTRACTS if contract["id"] == "layers")["layers"]
    table = TOLD.partition("| room | what |")[2].partition("\n\n")[0]
    rows = [
        re.findall(r"`([^`]+)`", line.split("|")[1]) for line in table.splitlines() if line.startswith("| `")
    ]
    told = [
        {name.removeprefix("bloxdb/").removesuffix(".py").removesuffix("/") for name in row} for row in rows
    ]
    place = {room: number for number, row in enumerate(told) for room in row}
    rooms = [[room.strip() for room in layer.split("|")] for layer in reversed(layers)]
    assert {room for floor in rooms for room in floor} | {"__init__"} == set(place)
    for lower, upper in itertools.pairwise(rooms):
        assert max(place[room] for room in lower) < min(place[room] for room in upper), (lower, upper)


@pytest.mark.parametrize("contract", CONTRACTS, ids=lambda contract: str(contract["id"]))
def test_each_contract_is_told(contract: dict[str, str]) -> None:
    assert f"**{contract['name']}** (`{contract['id']}`)" in TOLD


def test_the_commands_are_those_of_make_help() -> None:
    plain = {
        key: value for key, value in os.environ.items() if not key.startswith("MAKE")
    }  # as without `make test`
    done = subprocess.run(["make", "help"], cwd=ROOT, env=plain, capture_output=True, text=True, check=True)
    listed = TOLD.partition("lists what there is to run:\n\n")[2].partition("\n\n")[0]
    assert [line.strip() for line in listed.splitlines()] == [
        line.strip() for line in done.stdout.splitlines()
    ]


def test_the_files_of_the_ten_changes_are_there() -> None:
    table = TOLD.partition("## Ten changes and where they go")[2]
    rows = [line.split("|")[2] for line in table.splitlines() if line.startswith("| ") and "---" not in line]
    assert len(rows) == 11  # and the names of the columns
    named = {name for row in rows for name in re.findall(r"`([\w/.]+\.\w+|[\w/]+/)`", row)} - {
        "bloxdb/codecs/NAME.py"
    }
    assert len(named) >= 15
    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_no_file_of_code_is_longer_than_450_lines() -> None:
    long = {str(path): len((ROOT / path).read_text().splitlines()) for path in modules()}
    assert {path: length for path, length in long.items() if length > 450} == {}


def test_no_module_of_tests_loses_its_marks_by_setting_them_twice() -> None:
    set_in = {
        str(path): len(re.findall(r"^pytestmark\b", path.read_text(), re.MULTILINE))
        for path in (ROOT / "tests").rglob("*.py")
    }
    assert sum(set_in.values()) > 20
    assert {path: times for path, times in set_in.items() if times > 1} == {}
