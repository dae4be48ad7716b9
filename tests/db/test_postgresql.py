"""What PostgreSQL alone says: which statements are queries, and values as its driver has them."""

from __future__ import annotations

import time

import pytest
from sqlalchemy import make_url

from bloxdb.db.engines import NO_ROWS, ONLY_READS
from bloxdb.db.postgresql import PostgreSQL, begins_to_read, for_psycopg, why_not

LONG = 100_000
BANNERS = {
    "dashes": "-" * LONG,
    "dashes in lines": "--\n" * LONG,
    "dashes with spaces": "-- " * LONG,
    "comments in comments": "/*" * LONG,
    "comments": "/* */" * LONG,
    "a comment that is not closed": "/* -- " * LONG,
    "ends of comments": "*/" * LONG,
    "brackets": "( " * LONG,
    "spaces": " \n" * LONG,
    "quotes": "'" * (LONG + 1),
    "quotes with E": "e'\\'" * LONG,
    "double quotes": '"' * (LONG + 1),
    "tags": "".join(f"$a{n}$ " for n in range(LONG // 5)),
    "dollars": "$" * LONG,
    "colons": ":" * LONG,
    "backslashes": "e'" + "\\" * LONG,
    "words": "a" * LONG,
}


@pytest.mark.parametrize("name", BANNERS)
@pytest.mark.parametrize("before", ["", "SELECT "])
@pytest.mark.parametrize("after", ["", "\nDELETE FROM runs"])
def test_a_statement_is_gone_over_once_whatever_is_in_it(name: str, before: str, after: str) -> None:
    sql = before + BANNERS[name] + after
    start = time.process_time()
    assert begins_to_read(sql) == (before != "")
    for_psycopg(sql)
    assert time.process_time() - start < 2  # twice as many characters took twice as many twice over


@pytest.mark.parametrize(
    ("before", "is_read"),
    [
        ("", True), ("-- a\n", True), ("-- SELECT", False), ("--\n--\n ( (", True), ("/* a */", True),
        ("/* /* */ */ -- a\n/**/", True), ("/* /* */", False), ("/*/ */", True), ("--/*\n", True),
        ("/* -- */", True), ("*/", False), ("DELETE; ", False), ("x", False), ("/*", False), ("-- /* \n */", False),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "word", ["SELECT 1", "with x AS (SELECT 1) SELECT 2", "VALUES (1)", "TABLE runs", "show all"]
)
def test_the_first_word_counts_after_brackets_and_comments(before: str, is_read: bool, word: str) -> None:
    assert begins_to_read(before + word) is is_read


@pytest.mark.parametrize(
    "word", ["", "SELECTED", "COPY runs TO 'a'", "SET x = 1", "DELETE FROM runs", "/* SELECT"]
)
def test_any_other_word_is_no_query(word: str) -> None:
    assert not begins_to_read(word)
    assert not begins_to_read(f"/* of /* all */ SELECT */ {word}")


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT :a, :b_1", "SELECT %(a)s, %(b_1)s"),
        ("SELECT ':a' || \":a\" || E'\\':a' || :a", "SELECT ':a' || \":a\" || E'\\':a' || %(a)s"),
        ("SELECT $$:a$$, $x$:a $y$ $x$, :a", "SELECT $$:a$$, $x$:a $y$ $x$, %(a)s"),
        ("SELECT a$b$ , :a , c$b$", "SELECT a$b$ , %(a)s , c$b$"),  # names, which may have dollars
        ("SELECT 1::int % :a -- :a %", "SELECT 1::int %% %(a)s -- :a %%"),
        ("SELECT /* :a */ :a, '%", "SELECT /* :a */ %(a)s, '%%"),
    ],
)
def test_values_are_named_as_psycopg_has_them_and_texts_stay(sql: str, expected: str) -> None:
    assert for_psycopg(sql) == expected


@pytest.mark.parametrize("before", ["", " \n", "-- a\n", "/* /* a */ */ ("])
@pytest.mark.parametrize(
    ("sql", "told"),
    [
        *((sql, NO_ROWS) for sql in ("", " ", ";", "-- x", "/* a */", " ; -- x")),
        *(
            (sql, ONLY_READS)
            for sql in ("DELETE FROM runs", "copy runs TO 'a'", "SET x = 1", "Analyze", "DO $$$$")
        ),
        *(
            (sql, f'syntax error at or near "{sql[:5]}"; a query begins with SELECT')
            for sql in ("selec", "runs1 x")
        ),
        ("* FROM runs", 'syntax error at or near "*"; a query begins with SELECT'),
        ("'SELECT 1'", 'syntax error at or near "\'"; a query begins with SELECT'),
        ("/* SELECT 1", "syntax error: a comment is not closed"),
        *(
            (sql, f'syntax error at or near "{sql[0]}"; a query begins with SELECT')
            for sql in ("; SELECT 1", ";; selec", ") SELECT 1", "; -- a\n) TABLE runs", ";x")
        ),
        ("; DELETE FROM runs", ONLY_READS),
    ],
)
def test_a_slip_is_told_apart_from_what_writes(before: str, sql: str, told: str) -> None:
    assert not begins_to_read(before + sql)
    assert why_not(before + sql) == told


PLAIN = "postgresql+psycopg://u@h/blox"
LIMITED = "-c statement_timeout=9000"
READ_ONLY = "-c default_transaction_read_only=on"


@pytest.mark.parametrize(
    ("url", "environment", "read_only", "expected"),
    [
        (PLAIN, {}, False, {"connect_timeout": 10}),
        (PLAIN, {}, True, {"connect_timeout": 10, "options": READ_ONLY}),
        (PLAIN + "?connect_timeout=3", {}, False, {}),
        (PLAIN, {"PGCONNECT_TIMEOUT": "3"}, False, {}),
        (PLAIN + "?connect_timeout=3&options=" + LIMITED, {}, False, {}),
        (PLAIN + "?connect_timeout=3&options=" + LIMITED, {}, True, {"options": f"{LIMITED} {READ_ONLY}"}),
        (PLAIN + "?connect_timeout=3", {"PGOPTIONS": LIMITED}, True, {"options": f"{LIMITED} {READ_ONLY}"}),
    ],
)
def test_what_the_caller_says_of_connections_counts(
    url: str,
    environment: dict[str, str],
    read_only: bool,
    expected: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("PGCONNECT_TIMEOUT", "PGOPTIONS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert PostgreSQL().arguments(make_url(url), read_only=read_only) == expected
