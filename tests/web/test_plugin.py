"""What Datasette shows of a database of ours, and what it does not."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from datasette.app import Datasette

import bloxdb
from bloxdb.web import page
from bloxdb.web.answers import answer, names
from bloxdb.web.kept import kept_for
from tests.web.conftest import DEVICE

HOME = "/-/bloxdb/explored"


class Site:
    """A Datasette that is asked without a network."""

    def __init__(self, *files: Path, **more: Any) -> None:
        self.datasette = Datasette([str(path) for path in files], **more)

    def get(self, path: str, **more: Any) -> Any:
        return asyncio.run(self.datasette.client.get(path, **more))

    def close(self) -> None:
        for database in self.datasette.databases.values():
            database.close()


@pytest.fixture(scope="module")
def other_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("other") / "other.db"
    with sqlite3.connect(path) as connection:
        connection.execute("CREATE TABLE runs (arch_id INTEGER, hash TEXT)")
        connection.execute("INSERT INTO runs VALUES (5, 'abc')")
    connection.close()
    return path


@pytest.fixture(scope="module")
def site(explored_file: Path, other_file: Path) -> Iterator[Site]:
    found = Site(explored_file, other_file)
    yield found
    found.close()


def test_datasette_has_the_page_where_bloxdb_is_installed(site: Site) -> None:
    for name, path in page.files().items():
        response = site.get(f"{HOME}/{name}")
        assert response.status_code == 200
        assert response.content == path.read_bytes()
        assert response.headers["content-type"] == page.KINDS[path.suffix]
        assert "default-src 'none'" in response.headers["content-security-policy"]
        assert response.headers["x-content-type-options"] == "nosniff"
    assert site.get(f"{HOME}/").content == page.read(page.INDEX)[0]


def test_the_plugin_answers_as_the_database_does(site: Site, explored: bloxdb.Database) -> None:
    for name in [*names()][:9]:
        if name == "training.json":
            continue  # it has the seconds since a sign of life
        response = site.get(f"{HOME}/data/{name}")
        expected = answer(explored, name, "/explored")
        assert (response.content, response.headers["content-type"]) == (expected.body, expected.kind)


def test_an_answer_is_sent_once_until_somebody_writes(explored_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(explored_file, tmp_path / "explored.db"))
    site = Site(path)
    url = f"{HOME}/data/runs.bin"
    first = site.get(url)
    again = site.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    with bloxdb.open(path, current=False) as db, db.transaction() as session:
        session.get_one(bloxdb.Run, 1).test_top1 = 12.345
    later = site.get(url, headers={"If-None-Match": first.headers["etag"]})
    assert later.status_code == 200
    assert later.content != first.content
    with bloxdb.open(path, read_only=True, current=False) as db:
        assert later.content == answer(db, "runs.bin").body
    site.close()


@pytest.mark.parametrize(
    "path",
    [
        "/-/bloxdb/other/", "/-/bloxdb/nothing/", f"{HOME}/data/about", f"{HOME}/data/", f"{HOME}/../../etc/passwd",
        f"{HOME}/..%2f..%2fplugin.py", f"{HOME}/%2e%2e/plugin.py", f"{HOME}/js/", f"{HOME}//etc/passwd", f"{HOME}/data/curves/9999.bin",
    ],
)  # fmt: skip
def test_nothing_else_is_answered(site: Site, path: str) -> None:
    assert site.get(path, follow_redirects=True).status_code == 404


def test_addresses_without_a_slash_or_a_name_lead_there(site: Site) -> None:
    for path in ("/-/bloxdb", "/-/bloxdb/", HOME):
        response = site.get(path)
        assert (response.status_code, response.headers["location"]) == (302, f"{HOME}/")


def test_who_may_not_see_a_database_cannot_explore_it(explored_file: Path) -> None:
    site = Site(explored_file, metadata={"databases": {"explored": {"allow": {"id": "root"}}}})
    for path in ("/", "/data/runs.bin", "/data/about.json"):
        assert site.get(f"{HOME}{path}").status_code == 403
    site.close()


def test_links_lead_to_the_page(site: Site) -> None:
    assert f'<a href="{HOME}/">Explore</a>' in site.get("/").text
    assert f'href="{HOME}/">Explore architectures</a>' in site.get("/explored").text
    assert "Explore architectures" not in site.get("/other").text
    leaderboard = site.get("/explored/leaderboard?_size=1").text
    (row,) = json.loads(site.get("/explored/leaderboard.json?_size=1&_shape=array").content)
    assert f'<a href="{HOME}/#/arch/{row["arch_id"]}">{row["arch_id"]}</a>' in leaderboard
    assert f'<a href="{HOME}/#/arch/{row["hash"]}">{row["hash"]}</a>' in leaderboard
    assert "#/arch/" not in site.get("/other/runs").text


def test_tables_and_columns_are_described(site: Site) -> None:
    runs = site.get("/explored/runs").text
    assert "One training of an architecture" in runs
    assert "test accuracy with the best epoch&#39;s weights (percent)" in runs
    assert DEVICE not in site.get("/explored/devices").text  # it is escaped
    assert "One training of an architecture" not in site.get("/other/runs").text
    assert ">conv<" in site.get("/explored/blocks").text
    assert "the cost of one forward pass (multiply-accumulates" in site.get("/explored/leaderboard").text
    assert "cifar100" in site.get("/explored/runs").text  # a recipe by its name


def test_somebodys_own_words_go_before_and_nowhere_else(explored_file: Path, tmp_path: Path) -> None:
    other = Path(shutil.copy(explored_file, tmp_path / "second.db"))
    mine = {
        "databases": {
            "second": {"tables": {"runs": {"description": "my runs", "columns": {"seed": "my seed"}}}}
        }
    }
    for metadata, files in ((mine, [explored_file, other]), (None, [other])):
        site = Site(*files, metadata=metadata)
        for file in files:
            text = site.get(f"/{file.stem}/runs").text
            is_mine = metadata is not None and file is other
            assert ("my runs" in text, "my seed" in text) == (is_mine, is_mine)
            assert ("One training of an architecture" in text) is not is_mine
        site.close()


def test_a_database_of_an_older_revision_says_so(explored_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(explored_file, tmp_path / "explored.db"))
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0001'")
    connection.close()
    site = Site(path)
    response = site.get(f"{HOME}/data/about.json")
    assert response.status_code == 503
    assert "bloxdb upgrade" in response.text
    assert response.headers["content-type"].startswith("text/plain")
    site.close()


def test_a_database_that_is_damaged_says_so(explored_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(explored_file, tmp_path / "explored.db"))
    with path.open("r+b") as file:
        file.seek(200 * 4096)
        file.write(b"\xff" * (path.stat().st_size - 200 * 4096))
    site = Site(path)
    responses = [site.get(f"{HOME}/data/{name}") for name in ("runs.bin", "training.json")]
    assert all(response.status_code == 503 and "malformed" in response.text for response in responses)
    site.close()


def test_a_database_that_was_replaced_says_so_where_others_are_explored(
    explored_file: Path, tmp_path: Path
) -> None:
    path, other = (Path(shutil.copy(explored_file, tmp_path / name)) for name in ("explored.db", "other.db"))
    site = Site(path, other)
    url = f"{HOME}/data/runs.bin"
    first = site.get(url)
    shutil.copy(path, tmp_path / "new.db")
    (tmp_path / "new.db").replace(path)
    for headers in ({}, {"If-None-Match": first.headers["etag"]}):
        response = site.get(url, headers=headers)
        assert (response.status_code, "etag" in response.headers) == (503, False)
        assert "another file was put in its place since it was opened" in response.text
    assert site.get("/-/bloxdb/other/data/runs.bin").content == first.content
    site.close()


def test_an_immutable_database_is_explored_too(explored_file: Path, explored: bloxdb.Database) -> None:
    site = Site(immutables=[str(explored_file)])
    assert site.get(f"{HOME}/data/runs.bin").content == answer(explored, "runs.bin").body
    site.close()


def test_a_name_of_any_letters_is_served(explored_file: Path, tmp_path: Path) -> None:
    path = Path(shutil.copy(explored_file, tmp_path / "mein näme & co.db"))
    site = Site(path)
    response = site.get("/-/bloxdb")
    assert response.status_code == 302
    assert site.get(f"{response.headers['location']}data/about.json").json()["title"] == "mein näme & co"
    site.close()


BEFORE = {"nothing": None, "an empty file": b"", "another file": b"something else", "another database": None}


@pytest.mark.parametrize("how", ["in its place", "written over it"])
@pytest.mark.parametrize("before", BEFORE)
def test_a_file_that_becomes_a_database_of_ours_is_found(
    before: str, how: str, other_file: Path, explored_file: Path, tmp_path: Path
) -> None:
    path = tmp_path / "later.db"
    content = other_file.read_bytes() if before == "another database" else BEFORE[before]
    if content is not None:
        path.write_bytes(content)
    assert kept_for(path) is None
    assert kept_for(path) is None
    if how == "in its place":
        (tmp_path / "new.db").symlink_to(explored_file)
        (tmp_path / "new.db").replace(path)
    else:
        shutil.copyfile(explored_file, path)
    found = kept_for(path)
    assert found is not None
    assert kept_for(path) is found
    with found.open() as db:
        assert db.rows("SELECT count(*) AS n FROM archs") == [{"n": bloxdb.space.NUM_ARCHS}]
