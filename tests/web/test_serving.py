"""`bloxdb explore` as a process: where it listens, who may ask, what it leaves behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

import bloxdb
from bloxdb.web.serving import is_loopback
from tests.web.helpers import Served


def get(url: str, **headers: str) -> tuple[int, bytes, Any]:
    try:
        with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=20) as response:
            return response.status, response.read(), response.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), error.headers


@pytest.fixture
def file(explored_file: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(explored_file, tmp_path / "blox.db"))


@pytest.mark.slow
def test_it_serves_this_machine_alone_and_ends_as_if_nothing_had_been(file: Path) -> None:
    before = file.read_bytes()
    with Served(file) as served:
        assert served.url.startswith("http://127.0.0.1:")
        assert served.url.endswith("/-/bloxdb/blox/")
        status, body, headers = get(served.url)
        assert (status, b"<!doctype html>" in body) == (200, True)
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert get(f"{served.url}data/curves/0000.bin")[0] == 200
        origin = served.url.partition("/-/")[0]
        for page in ("/", "/blox", "/blox/runs"):
            policy = get(origin + page)[2]["Content-Security-Policy"]
            assert "default-src 'self'" in policy
            assert "http" not in policy
        assert get(f"{origin}/blox?{urlencode({'sql': 'DELETE FROM runs'})}")[0] == 400
        slow = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n) SELECT max(i) FROM n"
        assert b"SQL query took too long" in get(f"{origin}/blox?{urlencode({'sql': slow})}")[1]
        for name in ("evil.example", "evil.example:80", "127.0.0.1.evil.example"):
            assert get(served.url, Host=name)[0] == 421
        assert get(served.url, Host="localhost:1")[0] == 200
    assert served.process.returncode == 0
    assert served.process.stderr is not None
    assert [path.name for path in file.parent.iterdir()] == ["blox.db"]
    assert file.read_bytes() == before


@pytest.mark.parametrize("numbers", [(signal.SIGTERM,), (signal.SIGHUP,), (signal.SIGHUP, signal.SIGTERM)])
def test_signals_end_it_amid_requests_too(numbers: tuple[signal.Signals, ...], file: Path) -> None:
    def ask() -> None:
        with suppress(OSError, HTTPException):
            while True:
                get(f"{served.url.partition('/-/')[0]}/blox/epochs?_size=500")

    with Served(file) as served, ThreadPoolExecutor(3) as threads:
        get(f"{served.url}data/about.json")
        for _ in range(3):
            threads.submit(ask)
        time.sleep(0.5)
        for number in numbers:
            served.process.send_signal(number)
        assert served.process.wait(20) in [-number for number in numbers]
    assert served.process.stderr is not None
    assert [path.name for path in file.parent.iterdir()] == ["blox.db"]
    assert "Traceback" not in served.errors


def test_a_file_that_is_damaged_meanwhile_is_told_in_a_sentence(file: Path) -> None:
    with Served(file) as served:
        origin = served.url.partition("/-/")[0]
        assert get(f"{origin}/blox/epochs?_size=500")[0] == 200
        os.truncate(file, file.stat().st_size // 2)
        for page in (
            "/blox/epochs?_size=500",
            "/blox/runs",
            f"/blox?{urlencode({'sql': 'SELECT * FROM epochs'})}",
        ):
            status, body, _ = get(origin + page)
            assert (status, str(file) in body.decode(), "bloxdb check" in body.decode()) == (
                503,
                True,
                True,
            ), page
    assert "Traceback" not in served.errors


@pytest.mark.slow
def test_what_is_written_meanwhile_is_shown_and_no_wal_is_left(file: Path) -> None:
    with Served(file) as served:
        get(f"{served.url}data/runs.bin")
        get(served.url.partition("/-/")[0] + "/blox/runs")
        first = get(f"{served.url}data/training.json")[1]
        with bloxdb.open(file, current=False) as db, db.transaction() as session:
            session.get_one(bloxdb.Run, 1).status = "diverged"
        assert get(f"{served.url}data/training.json")[1] != first
    assert [path.name for path in file.parent.iterdir()] == ["blox.db"]
    connection = sqlite3.connect(file)
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("delete",)
    connection.close()


def removed(file: Path) -> None:
    file.unlink()


def renamed(file: Path) -> None:
    file.rename(file.with_name("moved.db"))


def replaced(file: Path) -> None:
    shutil.copy(file, file.with_name("other.db"))
    file.with_name("other.db").replace(file)


def made_rubbish(file: Path) -> None:
    file.unlink()
    file.write_text("rubbish")


def made_a_folder(file: Path) -> None:
    file.unlink()
    file.mkdir()


def made_somebody_elses(file: Path) -> None:
    file.unlink()
    with sqlite3.connect(file) as connection:
        connection.execute("CREATE TABLE runs (arch_id INTEGER)")
    connection.close()


CHANGED = [removed, renamed, replaced, made_rubbish, made_a_folder, made_somebody_elses]
GONE = "it was removed or renamed since it was opened"
OTHER = "another file was put in its place since it was opened"


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGED)
@pytest.mark.parametrize("is_asked", [True, False])
def test_a_file_that_was_removed_or_replaced_is_told(
    file: Path, change: Callable[[Path], None], is_asked: bool
) -> None:
    asked = [
        f"data/{name}" for name in ("about.json", "runs.bin", "means.bin", "training.json", "curves/0000.bin")
    ]
    with Served(file) as served:
        origin = served.url.partition("/-/")[0]
        before = {name: get(served.url + name)[2]["ETag"] for name in asked if is_asked}
        if is_asked:
            assert get(f"{origin}/blox/runs")[0] == 200
        change(file)
        for url in (
            *(served.url + name for name in asked),
            f"{origin}/",
            f"{origin}/blox",
            f"{origin}/blox/runs.json",
        ):
            for tag in ('""', *before.values()):
                status, body, headers = get(url, **{"If-None-Match": tag})
                assert (status, headers["ETag"]) == (503, None)
                assert headers["Content-Type"].startswith("text/plain")
                told = GONE if change in (removed, renamed) else OTHER
                assert body.decode().strip() == f"{file}: {told}; end the explorer and start it again"
        assert get(served.url)[0] == 200  # the page, which shows the sentence
    assert (served.process.returncode, served.errors) == (0, "")


@pytest.mark.slow
def test_a_file_that_is_put_back_is_explored_again(file: Path) -> None:
    with Served(file) as served:
        first = get(f"{served.url}data/runs.bin")
        moved = file.rename(file.with_name("moved.db"))
        assert get(f"{served.url}data/runs.bin")[0] == 503
        moved.rename(file)
        assert get(f"{served.url}data/runs.bin")[:2] == first[:2]


@pytest.mark.slow
def test_a_port_that_is_taken_is_passed_by_or_told(file: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Served(file, "--port", str(port), starts=False) as served:
            output, errors = served.process.communicate(timeout=20)
        assert (served.process.returncode, output) == (1, "")
        assert f"nothing can be served at 127.0.0.1, port {port}: " in errors
        assert "--port" in errors
    with Served(file, ports=()) as first, Served(file, ports=()) as second:
        assert first.url != second.url
        assert get(f"{second.url}data/about.json")[0] == 200


@pytest.mark.slow
def test_other_hosts_are_told_what_that_means(file: Path) -> None:
    with Served(file, "--host", "0.0.0.0") as served:
        url = served.url.replace("0.0.0.0", "127.0.0.1")
        assert get(url, Host="some.name")[0] == 200
    assert "can read the whole database" in served.errors
    assert "no password" in served.errors


def test_a_database_on_a_server_is_copied_first(monkeypatch: pytest.MonkeyPatch) -> None:
    from click.testing import CliRunner

    from bloxdb.cli import main

    done = CliRunner().invoke(main, ["explore", "--db", "postgresql://nobody@127.0.0.1:1/none"])
    assert done.exit_code == 1  # nothing listens there; where something does, a sentence names --static


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("127.9.9.9", True), ("::1", True), ("[::1]", True), ("localhost", True), ("LOCALHOST.", True),
     ("0.0.0.0", False), ("::", False), ("192.168.1.5", False), ("example.org", False), ("localhost.example.org", False), ("", False)],
)  # fmt: skip
def test_which_hosts_are_this_machine(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_without_datasette_there_is_a_sentence(file: Path) -> None:
    without = "import sys; sys.modules['datasette'] = None; from bloxdb.cli import main; main(sys.argv[1:])"
    command = [sys.executable, "-c", without, "explore", "--db", str(file)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (1, "Error: this needs datasette: pip install 'bloxdb[web]'\n")


def test_the_command_loads_datasette_when_it_serves() -> None:
    code = "import bloxdb.cli.explore, sys; print(*{name.partition('.')[0] for name in sys.modules})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"datasette", "uvicorn", "torch", "matplotlib", "pandas"} & set(done.stdout.split())
