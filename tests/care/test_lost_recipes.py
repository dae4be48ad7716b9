"""Damaged databases without a recipe, and with more than one kind of damage: nothing that can be kept is lost."""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

import bloxdb
from bloxdb.db.recipes import said_by
from tests.care.test_cut_off import PAGE, pages_of

RUNS, EPOCHS = 24, 200
TABLES = ("recipes", "runs", "epochs")


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory, empty_file: Path) -> Path:
    """A database of 24 finished runs of 200 epochs, all of one recipe that is called `mine`; copy it."""
    path = tmp_path_factory.mktemp("small") / "small.db"
    shutil.copy(empty_file, path)
    with bloxdb.open(path, current=False) as db, db.transaction() as session:
        session.add(bloxdb.db.Recipe(id=1, name="mine", dataset="digits", epochs=EPOCHS))
        session.flush()
        for number in range(1, RUNS + 1):
            session.add(bloxdb.Run(id=number, arch_id=number, recipe_id=1, seed=0, status="finished"))
    ask(
        path,
        "WITH RECURSIVE at(n) AS (VALUES (1) UNION ALL SELECT n + 1 FROM at WHERE n < 200) INSERT INTO epochs "
        "(run_id, epoch, train_loss_micro, val_loss_micro) SELECT id, n, n + 1000000, n + 2000000 FROM runs, at",
    )
    return path


@pytest.fixture
def path(small: Path, tmp_path: Path) -> Iterator[Path]:
    yield Path(shutil.copy(small, tmp_path / "small.db"))
    for file in tmp_path.glob("*.db"):  # 17 MB each
        file.unlink()


def ask(path: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        return connection.execute(query).fetchall()


def broken(path: Path, table: str, *leaves: int, data: bytes = b"\xff" * PAGE) -> None:
    """Damage leaves of a table."""
    content = bytearray(path.read_bytes())
    pages = pages_of(path, table)
    for leaf in leaves:
        content[(pages[leaf] - 1) * PAGE : pages[leaf] * PAGE] = data
    path.write_bytes(content)


def there(path: Path) -> dict[str, int]:
    return {name: ask(path, f"SELECT count(*) FROM {name}")[0][0] for name in TABLES}  # type: ignore[misc]


def statuses(path: Path) -> dict[object, tuple[object, object]]:
    """Of each run its status, and how many epochs it has."""
    query = "SELECT id, status, (SELECT count(*) FROM epochs WHERE run_id = runs.id) FROM runs"
    return {number: (status, epochs) for number, status, epochs in ask(path, query)}


WHOLE = {"recipes": 1, "runs": RUNS, "epochs": RUNS * EPOCHS}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("cifar100-200", ("cifar100", 200)),
        ("digits-65535-mine", ("digits", 65_535)),
        ("digits-65536", None),
        ("digits-0", None),
        ("exp-2", None),
        ("mine", None),
        ("", None),
    ],
)
def test_a_name_says_a_known_data_set_and_a_number_of_epochs_or_nothing(
    name: str, said: tuple[str, int] | None
) -> None:
    assert said_by(name) == said


@pytest.mark.parametrize(
    "change",
    [
        "DELETE FROM recipes",
        "DROP TABLE recipes",
        "UPDATE recipes SET epochs = 'x'",
        "UPDATE recipes SET epochs = 1000000000000",
        "UPDATE recipes SET id = 7",
    ],
)
def test_runs_of_a_recipe_that_is_not_there_are_kept(path: Path, change: str) -> None:
    ask(path, change)
    report = bloxdb.repair(path)
    is_other = "id = 7" in change
    assert there(report.copy) == WHOLE | {"recipes": 1 + is_other}
    assert report.rows["recipes"] == 1 + is_other
    name = "mine" if "epochs" in change else "lost-1"
    assert report.lost[-1] == f"the settings of recipe {name}, which is taken for 200 epochs of unknown now"
    assert set(statuses(report.copy).values()) == {("finished", EPOCHS)}
    assert report.left == []


@pytest.mark.parametrize(
    ("name", "kept"),
    [
        ("'exp-2'", "exp-2"),
        ("'digits-150'", "digits-150"),
        ("'*'", "lost-1"),
        ("printf('%300c', 'x')", "lost-1"),
        ("CAST(x'6dff' AS TEXT)", "lost-1"),
    ],
)
def test_whatever_a_lost_recipe_is_called_its_copy_has_a_name_and_the_epochs_of_its_runs(
    path: Path, name: str, kept: str
) -> None:
    ask(path, f"UPDATE recipes SET name = {name}")
    broken(path, "recipes", 0, data=bytes(PAGE))
    report = bloxdb.repair(path)
    assert ask(report.copy, "SELECT name, epochs FROM recipes") == [(kept, EPOCHS)]
    assert there(report.copy) == WHOLE
    assert report.left == []


@pytest.mark.parametrize("value", ["'oops'", "x'00'", "-1", "9223372036854775807"])
def test_whatever_a_run_has_for_a_recipe_costs_that_run_at_the_most(path: Path, value: str) -> None:
    ask(path, f"UPDATE runs SET recipe_id = {value} WHERE id = 5")
    broken(path, "recipes", 0)
    report = bloxdb.repair(path)
    is_number = value.lstrip("-").isdecimal()
    assert there(report.copy)["runs"] == RUNS - (not is_number)
    names = {name for (name,) in ask(report.copy, "SELECT name FROM recipes")}
    assert names == ({"mine", f"lost-{value}"} if is_number else {"mine"})


def test_a_name_that_another_recipe_has_is_not_taken_twice(path: Path) -> None:
    ask(path, "UPDATE recipes SET name = 'lost-9'")
    ask(path, "UPDATE runs SET recipe_id = 9 WHERE id = 5")
    report = bloxdb.repair(path)
    assert ask(report.copy, "SELECT id, name FROM recipes") == [(1, "lost-9"), (9, "lost-9-2")]


@pytest.mark.parametrize(
    ("name", "leaves"),
    [("mine", (0, -1)), ("mine", (0, 7, 20, -1)), ("exp-2", (0, -1)), ("digits-200", (3, 4, 5))],
)
def test_a_lost_recipe_and_lost_epochs_together_let_no_run_pass_for_whole(
    path: Path, name: str, leaves: tuple[int, ...]
) -> None:
    ask(path, f"UPDATE recipes SET name = '{name}'")
    broken(path, "recipes", 0)
    broken(path, "epochs", *leaves)
    report = bloxdb.repair(path)
    assert ask(report.copy, "SELECT epochs FROM recipes") == [(EPOCHS,)]
    pages = len(pages_of(path.with_name("small.repaired.db"), "epochs"))
    found = there(report.copy)
    assert found["runs"] == RUNS
    assert found["epochs"] >= RUNS * EPOCHS * (1 - (len(leaves) + 2) / pages)
    for status, epochs in statuses(report.copy).values():
        assert epochs == EPOCHS or status == "failed"
    whole = [1 for status, _ in statuses(report.copy).values() if status == "finished"]
    assert len(whole) >= RUNS - 3 * len(leaves)


@pytest.mark.parametrize("recipe", ["known", "lost"])
def test_a_run_that_diverged_beside_damage_is_told_what_is_sure_and_what_is_not(
    path: Path, recipe: str
) -> None:
    ask(path, "UPDATE runs SET status = 'diverged'")
    ask(path, "DELETE FROM epochs WHERE epoch > 150")
    (cut,) = pages_of(path, "epochs")[6:7]
    if recipe == "lost":
        ask(path, "DELETE FROM recipes")
    content = bytearray(path.read_bytes())
    content[(cut - 1) * PAGE : cut * PAGE] = bytes(PAGE)
    before = statuses(path.with_name("small.db"))
    whole = {number: epochs for number, (_, epochs) in before.items() if epochs}
    path.write_bytes(content)
    report = bloxdb.repair(path)
    told = dict(ask(report.copy, "SELECT id, message FROM runs WHERE status = 'failed'"))
    after = statuses(report.copy)
    assert {number for number, (_, epochs) in after.items() if epochs < whole[number]} <= told.keys()
    assert 1 <= len(told) <= 3
    assert {status for number, (status, _) in after.items() if number not in told} == {"diverged"}
    for number, message in told.items():
        known = {at for (at,) in ask(report.copy, f"SELECT epoch FROM epochs WHERE run_id = {number}")}
        lacking = set(range(1, max(known, default=0) + 1)) - known  # type: ignore[type-var]
        if lacking:
            assert "lost when the database was damaged" in str(message)
            assert str(min(lacking)) in str(message)
        else:
            last = max(known, default=0)  # type: ignore[type-var]
            said = f"epochs after {last} may have been lost when the database was damaged"
            assert message == said


@pytest.mark.parametrize("key", ["'x'", "1e300"])
def test_a_key_of_another_kind_beside_a_damaged_page_ends_no_repair(path: Path, key: str) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        last = connection.execute(
            "SELECT run_id, epoch FROM epochs ORDER BY run_id, epoch LIMIT 1 OFFSET 300"
        )
        run, epoch = last.fetchone()
        for run_id in (run, run + 1, RUNS):
            connection.execute(f"UPDATE epochs SET epoch = {key} WHERE run_id = {run_id} AND epoch = {epoch}")
        connection.execute(f"UPDATE epochs SET run_id = {key} WHERE run_id = 1 AND epoch = 1")
        connection.execute(f"UPDATE epochs SET run_id = {key} WHERE run_id = {RUNS} AND epoch = 200")
    leaves = len(pages_of(path, "epochs"))
    broken(path, "epochs", *range(1, leaves - 1, 3))
    report = bloxdb.repair(path)
    assert there(report.copy)["runs"] == RUNS
    for status, epochs in statuses(report.copy).values():
        assert epochs == EPOCHS or status == "failed"


@pytest.mark.parametrize("seed", range(3))
def test_whatever_bytes_are_wrong_a_repair_ends_in_a_report_or_a_sentence(
    path: Path, seed: int, tmp_path: Path
) -> None:
    chance = random.Random(seed)
    pages = [page for table in (*TABLES, "sqlite_schema") for page in pages_of(path, table)[:4]]
    content = bytearray(path.read_bytes())
    for _ in range(chance.choice([3, 30, 300])):
        at = (chance.choice(pages) - 1) * PAGE + chance.randrange(100, PAGE)
        content[at] = chance.randrange(256)
    path.write_bytes(content)
    try:
        report = bloxdb.repair(path)
    except bloxdb.BloxError as error:
        assert "nothing can be read" in str(error)
        assert not (tmp_path / "small.repaired.db").exists()
    else:
        assert str(report)
