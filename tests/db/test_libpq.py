"""What the environment and password files give, as libpq itself finds it: what stays out of a pickle."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo
from psycopg.pq import PGconn
from sqlalchemy import URL, make_url

from bloxdb.db.libpq import found_passwords, with_ports
from bloxdb.db.passwords import for_a_pickle, password_of

PASSFILE = r"""# a comment:*:*:*:no
db.example:5432:blox:me:secret
db.example:5433:*:me:other
*:*:with\:colon:*:a\:b\\c
*:*:*:you:
localhost:*:*:here:home:and more
short:line
*:*:*:last:ü
"""
URLS = [
    "postgresql+psycopg://me@db.example/blox",
    "postgresql+psycopg://me@db.example:5432/blox",
    "postgresql+psycopg://me@db.example:5433/blox",
    "postgresql+psycopg://me@db.example:5434/blox",
    "postgresql+psycopg://me@other.example/blox",
    "postgresql+psycopg://me@db.example/with:colon",
    "postgresql+psycopg://you@db.example/blox",
    "postgresql+psycopg://here@localhost/blox",
    "postgresql+psycopg://here@/blox",
    "postgresql+psycopg://last@127.0.0.1/x",
    "postgresql+psycopg:///blox?host=db.example&user=me&port=5433",
    "postgresql+psycopg://me@/blox?host=db.example",
    "postgresql+psycopg://short@db.example",
]


@pytest.fixture(autouse=True)
def passfile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A password file, and an environment that names it and nothing else of libpq's."""
    for name in os.environ:
        if name.startswith("PG"):
            monkeypatch.delenv(name)
    path = tmp_path / "passwords"
    path.write_text(PASSFILE)
    path.chmod(0o600)
    monkeypatch.setenv("PGPASSFILE", str(path))
    return path


def of_libpq(url: URL) -> str | None:
    """The password that libpq itself would use; it begins to connect to a port of this machine for it."""
    given = {"user": url.username, "host": url.host, "port": url.port, "dbname": url.database, **url.query}
    known = {name: value for name, value in given.items() if value is not None}
    info = make_conninfo("", **known, hostaddr="127.0.0.1") if "host" in known else make_conninfo("", **known)
    connection = PGconn.connect_start(info.encode())
    try:
        return connection.password.decode() or None
    finally:
        connection.finish()


def is_left_out(url: URL) -> bool:
    """Whether a pickle is without the password; there is a warning if it is not."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        travels = for_a_pickle(url, "the server")
    assert bool(caught) == (travels == url)
    assert travels == url or password_of(travels) is None
    return travels != url


@pytest.mark.parametrize("text", URLS)
def test_a_password_stays_out_just_where_libpq_finds_it(text: str) -> None:
    url = make_url(text)
    found = of_libpq(url)
    for password in ("secret", "other", r"a:b\c", "home", "ü", "no"):
        assert is_left_out(url.set(password=password)) == (password == found)
        assert is_left_out(url.update_query_dict({"password": password})) == (password == found)


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    url = make_url(URLS[0])
    assert is_left_out(url.set(password="secret"))
    monkeypatch.setenv("PGPASSWORD", "mine")
    assert of_libpq(url) == "mine"
    assert is_left_out(url.set(password="mine"))
    assert not is_left_out(url.set(password="secret"))
    monkeypatch.setenv("PGPASSWORD", "")
    assert of_libpq(url) == "secret"
    assert is_left_out(url.set(password="secret"))


def test_the_environment_also_names_host_port_user_and_database(monkeypatch: pytest.MonkeyPatch) -> None:
    url = URL.create("postgresql+psycopg", password="other")
    assert not is_left_out(url)
    for name, value in (("PGHOST", "db.example"), ("PGPORT", "5433"), ("PGUSER", "me"), ("PGDATABASE", "x")):
        monkeypatch.setenv(name, value)
    assert is_left_out(url)


def test_a_file_that_others_may_read_is_none_as_for_libpq(passfile: Path) -> None:
    passfile.chmod(0o640)
    assert of_libpq(make_url(URLS[0])) is None
    assert not is_left_out(make_url(URLS[0]).set(password="secret"))


def test_the_file_may_lie_at_home_or_be_named_in_the_url(
    passfile: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = make_url(URLS[0]).set(password="secret")
    monkeypatch.delenv("PGPASSFILE")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert not is_left_out(url)
    assert is_left_out(url.update_query_dict({"passfile": str(passfile)}))
    (tmp_path / "home").mkdir()
    passfile.rename(tmp_path / "home" / ".pgpass")
    assert is_left_out(url)


def test_every_one_of_several_hosts_has_to_be_given() -> None:
    assert is_left_out(make_url("postgresql+psycopg://last:ü@/x?host=a.example,b.example"))
    assert is_left_out(make_url("postgresql+psycopg://last:ü@/x?host=a.example&host=b.example"))
    assert not is_left_out(make_url("postgresql+psycopg://me:secret@/blox?host=db.example,b.example"))


def test_a_service_file_could_say_something_else(monkeypatch: pytest.MonkeyPatch) -> None:
    url = make_url(URLS[0]).set(password="secret")
    monkeypatch.setenv("PGSERVICE", "blox")
    assert not is_left_out(url)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("host=db.example:5433", ["other"]),
        ("host=db.example:", ["secret"]),
        ("host=db.example:5433&host=db.example:5432", ["other", "secret"]),
        ("host=db.example:5433&host=db.example", ["other", "secret"]),
        ("host=db.example,db.example&port=5432,5433", ["secret", "other"]),
        ("host=db.example:5434", [None]),
    ],
)
def test_a_port_may_stand_with_its_host(options: str, found: list[str | None]) -> None:
    url = make_url(f"postgresql+psycopg://me@/blox?{options}")
    assert list(found_passwords(url)) == found
    if pairs := with_ports(url):
        given = url.get_dialect()().create_connect_args(url)[1]
        told = (given["host"], str(given.get("port", "")))
        assert told == tuple(",".join(part) for part in zip(*pairs, strict=True))
