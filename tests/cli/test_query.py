"""`top`, `show` and `sql` as a user runs them, and the README's questions."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

from bloxdb import Database, queries
from bloxdb.db import create
from bloxdb.db import open as bloxdb_open
from bloxdb.release import import_release
from tests.cli.helpers import COMMAND, ENVIRONMENT, README, bloxdb


def test_top_is_plain_when_piped_and_json_on_demand(tiny_file: Path) -> None:
    lines = bloxdb("top", 3, "--db", tiny_file, "--max-flops", "240e6").stdout.splitlines()
    assert lines[0].split("\t")[:4] == ["arch_id", "hash", "vec", "recipe"]
    assert len(lines) == 4
    rows = json.loads(bloxdb("top", 3, "--db", tiny_file, "--max-flops", "240e6", "--json").stdout)
    assert [str(row["arch_id"]) for row in rows] == [line.split("\t")[0] for line in lines[1:]]
    assert all(row["flops"] <= 240e6 for row in rows)
    limited = bloxdb("top", "--db", tiny_file, "--max-latency", "desktop-cpu", "2.6", "--json").stdout
    assert 0 < len(json.loads(limited)) < 10


def test_show_finds_by_vector_hash_and_index(tiny_file: Path) -> None:
    key = "dab44c12f79899d6de493c696c7ee8d1"
    by_hash = bloxdb("show", key, "--db", tiny_file).stdout
    assert "stage 1: ST2(mbconv, bconv)" in by_hash
    assert "225,621,476 FLOPs" in by_hash
    assert "2.714079 ms on desktop-cpu" in by_hash
    assert "   72.76 " in by_hash
    assert "█" in by_hash
    data = json.loads(bloxdb("show", key, "--db", tiny_file, "--json").stdout)
    assert data["runs"][0]["val_top1_by_epoch"][-1] == 72.76
    assert bloxdb("show", data["index"], "--db", tiny_file).stdout == by_hash
    assert bloxdb("show", json.dumps(data["vec"]), "--db", tiny_file).stdout == by_hash


def test_sql_prints_text_json_and_csv(tiny_file: Path) -> None:
    query = "SELECT arch_id, vec, test_top1 FROM leaderboard ORDER BY test_top1 DESC LIMIT 2"
    rows = json.loads(bloxdb("sql", query, "--db", tiny_file, "--json").stdout)
    table = list(csv.DictReader(io.StringIO(bloxdb("sql", query, "--db", tiny_file, "--csv").stdout)))
    assert [json.loads(row["vec"]) for row in table] == [row["vec"] for row in rows]
    assert len(bloxdb("sql", query, "--db", tiny_file).stdout.splitlines()) == 3
    assert "no rows" in bloxdb("sql", "SELECT 1 WHERE 0", "--db", tiny_file).stderr


def test_pareto_is_what_the_function_gives(tiny_file: Path, tiny_db: Database) -> None:
    for options in ({}, {"x": "params", "y": "val_top1"}, {"recipe": "cifar100-10", "x": "train_time_s"}):
        arguments = [part for name, value in options.items() for part in (f"--{name}", value)]
        expected = queries.pareto(db=tiny_db, **options)
        assert len(expected) > 1
        found = json.loads(bloxdb("pareto", "--db", tiny_file, *arguments, "--json").stdout)
        assert found == [{**row, "vec": json.loads(row["vec"])} for row in expected]


CSV = {
    "top": ["top", "3"],
    "pareto": ["pareto"],
    "show": ["show", "3134"],
    "status": ["status"],
    "sql": ["sql", "SELECT id, arch_id AS id FROM runs"],
}


@pytest.mark.parametrize("name", CSV)
def test_csv_has_the_same_header_with_and_without_rows(name: str, tiny_file: Path, empty_file: Path) -> None:
    some, none = (bloxdb(*CSV[name], "--csv", "--db", path).stdout for path in (tiny_file, empty_file))
    header, *rows = csv.reader(io.StringIO(some))
    assert rows
    assert all(len(row) == len(header) == len(set(header)) for row in rows)
    assert next(csv.reader(io.StringIO(none))) == header
    left = 2 if name == "show" else 1  # what an architecture costs is known without a run
    assert len(none.splitlines()) == left


def test_show_has_a_line_of_csv_a_run(tiny_file: Path) -> None:
    data = json.loads(bloxdb("show", "3134", "--db", tiny_file, "--json").stdout)
    rows = list(csv.DictReader(io.StringIO(bloxdb("show", "3134", "--db", tiny_file, "--csv").stdout)))
    assert [(row["hash"], row["test_top1"]) for row in rows] == [
        (data["hash"], str(run["test_top1"])) for run in data["runs"]
    ]
    assert json.loads(rows[0]["vec"]) == data["vec"]


def test_sql_writes_many_rows_as_it_writes_few(empty_file: Path) -> None:
    query = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) SELECT i, NULL AS x FROM n"
    expected = [{"i": number, "x": None} for number in range(1, 2501)]
    printed = {
        form: bloxdb("sql", query, "--db", empty_file, *form.split()).stdout
        for form in ("", "--json", "--csv")
    }
    assert printed["--json"] == json.dumps(expected, indent=2) + "\n"
    assert printed["--csv"] == "i,x\n" + "".join(f"{number},\n" for number in range(1, 2501))
    assert printed[""] == "i\tx\n" + "".join(f"{number}\t\n" for number in range(1, 2501))


@pytest.mark.slow
@pytest.mark.parametrize("form", [[], ["--json"], ["--csv"]])
def test_sql_takes_no_more_memory_for_more_rows(form: list[str], empty_file: Path) -> None:
    def peak(rows: int) -> int:
        query = f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i, i AS j FROM n"
        command = [*COMMAND, "sql", query, "--db", str(empty_file), *form]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, env=ENVIRONMENT) as process:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        assert process.returncode == 0
        return usage.ru_maxrss

    assert peak(600_000) - peak(150_000) < 20_000  # KB; 450,000 rows as dicts take 100,000


def test_sql_in_json_keeps_every_column_and_is_json(tiny_file: Path) -> None:
    query = "SELECT r.id, a.id, a.vec, 9e999 AS inf, x'00ff' AS blob, '12:30' AS time FROM runs r JOIN archs a ON a.id = arch_id LIMIT 1"
    (row,) = json.loads(bloxdb("sql", query, "--db", tiny_file, "--json").stdout)
    assert list(row) == ["id", "id_1", "vec", "inf", "blob", "time"]
    assert (row["inf"], row["blob"], row["time"], len(row["vec"])) == (None, "00ff", "12:30", 3)
    lines = bloxdb("sql", query, "--db", tiny_file).stdout.splitlines()
    assert lines[0] == "id\tid_1\tvec\tinf\tblob\ttime"
    assert lines[1].endswith("\t00ff\t12:30")


def test_reading_commands_leave_nothing_beside_the_file(tiny_file: Path, tmp_path: Path) -> None:
    path = shutil.copy(tiny_file, tmp_path / "blox.db")
    for arguments in CSV.values():
        bloxdb(*arguments, "--db", path)
        assert [found.name for found in tmp_path.iterdir()] == ["blox.db"]


def test_a_query_may_begin_with_a_comment(tiny_file: Path) -> None:
    for query in ("-- one\nSELECT 1 AS a", "--one\nSELECT 1 AS a", "/* one */ SELECT 1 AS a"):
        assert bloxdb("sql", query, "--db", tiny_file).stdout == "a\n1\n"
    assert "--json" in bloxdb("sql", "SELECT 1", "--jsn", "--db", tiny_file, code=2).stderr


def test_the_readme_queries_are_sql_that_runs(tiny_file: Path) -> None:
    queries = re.findall(r"```sql\n(.+?)```", README.read_text(), flags=re.DOTALL)
    assert len(queries) == 10
    with sqlite3.connect(tiny_file) as connection:
        for query in queries:
            assert connection.execute(query).fetchall(), query
    connection.close()


def test_the_readme_python_runs_and_answers_as_the_sql_does(
    tiny_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(tiny_file, tmp_path / "blox.db")
    monkeypatch.chdir(tmp_path)
    readme = README.read_text()
    questions = readme[readme.index("## Ten questions") :]
    opening, *answers = re.findall(r"```python\n(.+?)```", questions, flags=re.DOTALL)
    assert len(answers) == 10
    names: dict[str, Any] = {}
    exec(opening, names)
    first, second, front = (eval(code, names) for code in answers[:3])
    queries = re.findall(r"```sql\n(.+?)```", readme, flags=re.DOTALL)
    for rows, query in zip((first, second, front), queries, strict=False):
        assert [row["hash"] for row in rows] == [row["hash"] for row in names["db"].rows(query)]
    exec(answers[3], names)
    for code in answers[4:]:
        answer = eval(code.strip(), names)
        assert len(answer) if hasattr(answer, "__len__") else answer
    names["db"].close()


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory: pytest.TempPathFactory, golden: Path) -> Path:
    path = tmp_path_factory.mktemp("seeds") / "two.db"
    with create(path, current=False) as db:
        import_release(golden / "release-small", db)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("command", [["top", "30"], ["pareto"]])
def test_runs_of_several_seeds_are_said_to_be_runs(two_seeds: Path, command: list[str]) -> None:
    plain = bloxdb(*command, "--db", two_seeds, "--json")
    assert "each row is a run of one seed; --seed mean ranks architectures" in plain.stderr
    assert {row["seed"] for row in json.loads(plain.stdout)} == {0, 1}
    for how in ("mean", "median"):
        averaged = bloxdb(*command, "--db", two_seeds, "--seed", how, "--json")
        assert averaged.stderr == ""
        assert {row["seeds"] for row in json.loads(averaged.stdout)} == {2}
    assert bloxdb(*command, "--db", two_seeds, "--seed", 0, "--seed", 1).stderr == ""
    assert (
        "--seed mean is over all seeds; give it alone"
        in bloxdb(*command, "--seed", "mean", "--seed", 1, code=2).stderr
    )


def test_a_recipe_of_one_seed_needs_no_note(two_seeds: Path, tmp_path: Path, golden: Path) -> None:
    path = Path(shutil.copy(two_seeds, tmp_path / "two.db"))
    with bloxdb_open(path, current=False) as db:
        import_release(sorted((golden / "release-tiny").glob("blox-base-*.blox")), db)
        (one,) = db.rows("SELECT name FROM recipes WHERE name <> 'cifar100-200'")
    for recipe, noted in ((one["name"], False), ("cifar100-200", True), ("*", True)):
        told = bloxdb("top", "--db", path, "--recipe", recipe).stderr
        assert ("each row is a run" in told) is noted


@pytest.mark.parametrize(("command", "option"), [("top", "--by"), ("pareto", "--x"), ("pareto", "--y")])
def test_latencies_of_a_device_are_measures_here_too(two_seeds: Path, command: str, option: str) -> None:
    found = bloxdb(command, "--db", two_seeds, "--seed", 1, option, "latency:jetson-nano", "--json")
    assert all(row["latency:jetson-nano"] > 0 for row in json.loads(found.stdout))
    assert "no device 'phone'" in bloxdb(command, "--db", two_seeds, option, "latency:phone", code=1).stderr
    assert (
        "'speed' is not one of val_top1" in bloxdb(command, "--db", two_seeds, option, "speed", code=2).stderr
    )


@pytest.mark.parametrize("seed", ["0", "mean"])
@pytest.mark.parametrize("by", ["test_top1", "test_loss", "flops", "latency:jetson-nano"])
def test_an_answer_without_rows_has_the_header_of_one_with_rows(two_seeds: Path, seed: str, by: str) -> None:
    some = bloxdb("top", 1, "--db", two_seeds, "--seed", seed, "--by", by, "--csv").stdout.splitlines()
    none = bloxdb("top", 0, "--db", two_seeds, "--seed", seed, "--by", by, "--csv").stdout.splitlines()
    assert none == some[:1]
