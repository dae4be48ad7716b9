"""Every command as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import sqlite3
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from bloxdb.cli import main

README = Path(__file__).parents[2] / "README.md"


def bloxdb(*arguments: object, code: int = 0, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run the command; a traceback is always a failure."""
    done = subprocess.run(
        [sys.executable, "-c", "from bloxdb.cli import main; main(prog_name='bloxdb')", *map(str, arguments)],
        capture_output=True, text=True, cwd=cwd, check=False,
        env={**os.environ, "PYTHONPATH": str(README.parent)},
    )  # fmt: skip
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr
    return done


def test_every_command_has_help_and_stands_in_the_readme() -> None:
    readme = README.read_text()
    context = click.Context(main)
    names = main.list_commands(context)
    assert len(names) >= 11
    for name in names:
        command = main.get_command(context, name)
        assert command is not None
        assert command.help, name
        assert f"bloxdb {name}" in readme, name
        for option in command.params:
            assert isinstance(option, click.Argument) or option.help, (
                name,
                option.name,
            )


def test_init_import_export_verify(tmp_path: Path, golden: Path) -> None:
    db = tmp_path / "blox.db"
    assert f"created {db}" in bloxdb("init", "--db", db).stdout
    done = bloxdb("import", golden / "release-tiny", "--db", db)
    assert done.stdout == "6 files: 160 rows added, 0 values replaced, 40 rows unchanged\n"
    for name in ("blox", "pickle", "csv"):
        listed = bloxdb("export", "--db", db, "--format", name, "--out", tmp_path / "out").stdout.split()
        assert len(listed) == 6
        assert all(Path(path).is_file() for path in listed)
    lines = bloxdb("verify", tmp_path / "out").stdout.splitlines()
    assert len(lines) == 18 + 3
    assert re.fullmatch(r"blox-base-3.blox\t\d+\.\d{3} s\t40 rows", lines[0])
    assert lines[-3] == ".blox: all 6 files equal those of the other formats"
    (tmp_path / "out" / "blox-info.csv").write_bytes(b"")
    assert "damaged" in bloxdb("verify", tmp_path / "out", code=1).stdout


def test_import_makes_the_database_where_there_is_none(tmp_path: Path, golden: Path) -> None:
    done = bloxdb("import", golden / "release-tiny", "--db", tmp_path / "new.db")
    assert "created" in done.stderr
    assert "160 rows added" in done.stdout


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
    assert [row["vec"] for row in table] == [row["vec"] for row in rows]
    assert len(bloxdb("sql", query, "--db", tiny_file).stdout.splitlines()) == 3
    assert "no rows" in bloxdb("sql", "SELECT 1 WHERE 0", "--db", tiny_file).stderr


def test_status_counts_runs_and_gaps(tiny_file: Path, empty_file: Path) -> None:
    done = bloxdb("status", "--db", tiny_file)
    assert "91,125 archs, 40 runs, 400 epochs" in done.stdout
    assert re.search(r"gaps of cifar100-10, seed 3: 0-\d+, .* \(41 ranges\)|\(\d+ ranges\)", done.stdout)
    data = json.loads(bloxdb("status", "--db", tiny_file, "--json").stdout)
    assert data["runs"][0]["missing"] == 91_085
    assert "no runs yet" in bloxdb("status", "--db", empty_file).stderr


def test_status_shows_workers_failures_and_the_middle_and_retry_lets_them_go_on(
    tiny_file: Path, tmp_path: Path
) -> None:
    path = Path(shutil.copy(tiny_file, tmp_path / "a.db"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE runs SET status = 'failed', message = 'out of memory' WHERE id = 1")
        connection.execute("UPDATE runs SET status = 'diverged' WHERE id = 2")
        connection.execute(
            "UPDATE runs SET status = 'running', worker = 'elsewhere:7', heartbeat_at = datetime('now', '-90 seconds') "
            "WHERE id = 3"
        )
        left = [row[0] for row in connection.execute("SELECT test_top1 FROM runs WHERE status = 'finished'")]
    connection.close()
    found = json.loads(bloxdb("status", "--db", path, "--json").stdout)
    (row,) = found["runs"]
    counts = {name: row[name] for name in ("finished", "failed", "diverged", "running", "pending")}
    assert counts == {"finished": 37, "failed": 1, "diverged": 1, "running": 1, "pending": 0}
    assert row["median"] == pytest.approx(statistics.median(left), abs=1e-3)
    assert (row["best"], row["worst"]) == (max(left), min(left))
    (worker,) = found["workers"]
    assert (worker["worker"], worker["epoch"], worker["epochs"]) == ("elsewhere:7", 10, 10)
    assert 89 < worker["last_beat_s"] < 120
    assert [failure["message"] for failure in found["failures"]] == ["out of memory", None]
    shown = bloxdb("status", "--db", path).stdout
    assert "failed: out of memory" in shown
    assert "elsewhere:7" in shown
    assert "1 runs wait" in bloxdb("retry", "--failed", "--seed", 3, "--db", path).stdout
    assert "1 runs wait" in bloxdb("retry", "--diverged", "--failed", "--db", path).stdout
    (row,) = json.loads(bloxdb("status", "--db", path, "--json").stdout)["runs"]
    assert (row["pending"], row["failed"], row["diverged"]) == (2, 0, 0)
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT count(*) FROM epochs WHERE run_id < 3").fetchone() == (0,)
    connection.close()


def test_merge_brings_databases_together(tiny_file: Path, empty_file: Path, tmp_path: Path) -> None:
    path = shutil.copy(empty_file, tmp_path / "a.db")
    done = bloxdb("merge", tiny_file, tiny_file, "--db", path)
    assert done.stdout.startswith("120 added, 0 replaced, 120 there already and equal, 0 contradictions")
    assert "gaps of cifar100-10, seed 3: 0-" in done.stdout


@pytest.mark.slow
def test_bench_measures_and_stores_latencies(empty_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(empty_file, tmp_path / "a.db"))
    options = ("--device-name", "this-cpu", "--db", path, "--runs", 3, "--warmup", 1, "--threads", 1)
    lines = bloxdb("bench", "--range", 403, 405, *options).stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["403", "404"]
    again = bloxdb("bench", "--range", 403, 406, "--missing", *options).stdout.splitlines()
    assert [line.split("\t")[0] for line in again] == ["405"]
    with sqlite3.connect(path) as connection:
        rows = connection.execute(
            "SELECT arch_id, latency_ms, spread_ms FROM latencies ORDER BY 1"
        ).fetchall()
        assert connection.execute("SELECT name FROM devices").fetchall() == [("this-cpu",)]
    connection.close()
    assert [row[0] for row in rows] == [403, 404, 405]
    assert all(0.5 < latency < 1000 and 0 <= spread < latency for _, latency, spread in rows)
    shown = float(lines[0].split("\t")[1].removesuffix(" ms"))
    assert shown == pytest.approx(rows[0][1], abs=1e-3)


def test_upgrade_of_a_current_database_does_nothing(tiny_file: Path, tmp_path: Path) -> None:
    path = shutil.copy(tiny_file, tmp_path / "a.db")
    assert "nothing to do" in bloxdb("upgrade", "--db", path).stderr
    assert [found.name for found in tmp_path.iterdir()] == ["a.db"]


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["top", "--db", "none.db"],
            "none.db; create one with `bloxdb init --db ",
        ),
        (["show", "91125", "--db", "TINY"], "there is no architecture 91125"),
        (["show", "[1,2]", "--db", "TINY"], "2 entries"),
        (["sql", "SELEC", "--db", "TINY"], "syntax error"),
        (["sql", "DELETE FROM runs", "--db", "TINY"], "readonly database"),
        (["top", "--db", "TINY", "--recipe", "x"], "choose one of: cifar100-10"),
        (["import", "nothing", "--db", "TINY"], "there is no file or folder nothing"),
        (["verify", "nothing"], "there is no folder nothing"),
        (["export", "--db", "TINY", "--seed", "9", "--out", "o"], "no run of recipe cifar100-10 with seed 9"),
        (["upgrade", "--db", "none.db"], "there is no database"),
        (["init", "--db", "TINY"], "exists already"),
        (
            ["train", "--db", "TINY", "--arch", "1", "--data-dir", "d"],
            "there is no undamaged CIFAR100 in d; get it",
        ),
        (
            ["train", "--db", "TINY", "--dataset", "digits", "--sql", "SELECT 'x'"],
            "must give architecture indices",
        ),
        (["train", "--db", "TINY", "--dataset", "digits", "--arch", "1", "--gpus", "99"], "this machine has"),
        (["train", "--db", "TINY", "--config", "TINY", "--arch", "1"], "is not TOML"),
        (["train", "--db", "TINY", "--config", "none.toml", "--arch", "1"], "none.toml: No such file"),
        (["retry", "--db", "TINY", "--failed", "--recipe", "x"], "choose one of: cifar100-10"),
        (["merge", "--db", "TINY", "none.db"], "none.db; create one"),
        (
            ["bench", "--db", "TINY", "--device-name", "a b", "--arch", "1"],
            "letters, digits and -, not 'a b'",
        ),
        (["init", "--db", "/proc/none/blox.db"], "/proc/none"),
    ],
)
def test_errors_are_one_line_and_exit_code_1(
    tmp_path: Path, tiny_file: Path, arguments: list[str], sentence: str
) -> None:
    filled = [str(tiny_file) if argument == "TINY" else argument for argument in arguments]
    done = bloxdb(*filled, code=1, cwd=tmp_path)
    assert done.stdout == ""
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert sentence in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["top", "many"],
        ["export", "--format", "zip"],
        ["train"],
        ["nothing"],
        ["import"],
        ["retry"],
        ["merge"],
    ],
)
def test_usage_errors_have_exit_code_2(arguments: list[str], tiny_file: Path) -> None:
    assert "Usage" in bloxdb(*arguments, code=2).stderr


@pytest.mark.parametrize(
    "arguments",
    [["top"], ["status"], ["show", "4711"], ["export", "--out", "o"], ["sql", "SELECT * FROM runs"]],
)
def test_a_damaged_database_is_a_sentence(tmp_path: Path, tiny_file: Path, arguments: list[str]) -> None:
    path = tmp_path / "cut.db"
    data = bytearray(tiny_file.read_bytes())
    data[100 : len(data) // 2] = b"\xff" * (len(data) // 2 - 100)
    path.write_bytes(data)
    done = bloxdb(*arguments, "--db", path, code=1, cwd=tmp_path)
    assert done.stderr.startswith("Error: ")
    assert done.stderr.count("\n") == 1
    assert "malformed" in done.stderr or "not a database" in done.stderr


def test_a_terminal_gets_a_table(tiny_file: Path) -> None:
    code = "import pty, sys; sys.exit(pty.spawn(sys.argv[1:]) >> 8)"
    command = [
        sys.executable,
        "-c",
        "from bloxdb.cli import main; main()",
        "top",
        "2",
        "--db",
        str(tiny_file),
    ]
    done = subprocess.run(
        [sys.executable, "-c", code, *command], capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL,
        env={**os.environ, "COLUMNS": "200", "TERM": "xterm"},
    )  # fmt: skip
    assert "\t" not in done.stdout
    assert re.search(r"\d{3},\d{3},\d{3}", done.stdout)


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
        assert eval(code.strip(), names)
    names["db"].close()
