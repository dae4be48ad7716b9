"""Every command has help, and every error is one line."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
import pytest
from bloxdb.trainer.identity import KEPT
from bloxdb.trainer.recipe import PRECISIONS, VARIANTS
from click.testing import CliRunner

from bloxdb import codecs, merging
from bloxdb.cli import main
from bloxdb.db.schema import EPOCH_MEASURES
from bloxdb.db.statuses import UNSUCCESSFUL
from bloxdb.draw.svg import THEMES
from tests import forks
from tests.cli.helpers import README, bloxdb


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


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["top", "--db", "none.db"],
            "none.db; create one with `bloxdb init --db ",
        ),
        (["show", "91125", "--db", "TINY"], "an architecture index is in 0 … 91124, not 91125"),
        (["show", "[1,2]", "--db", "TINY"], "2 entries"),
        (["sql", "SELEC", "--db", "TINY"], "syntax error"),
        (["sql", "DELETE FROM runs", "--db", "TINY"], "a query only reads"),
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
        (["train", "--db", "TINY", "--config", "TINY", "--arch", "1"], "bytes of any recipe"),
        (["train", "--db", "TINY", "--config", "none.toml", "--arch", "1"], "none.toml: No such file"),
        (["retry", "--db", "TINY", "--failed", "--recipe", "x"], "choose one of: cifar100-10"),
        (["train", "--db", "TINY", "--sql", "DELETE FROM runs RETURNING arch_id"], "a query only reads"),
        (["train", "--db", "TINY", "--sql", "ATTACH 'new.db' AS new"], "a query only reads"),
        (["bench", "--db", "TINY", "--device-name", "a", "--sql", "DELETE FROM runs"], "a query only reads"),
        (
            ["bench", "--db", "TINY", "--device-name", "a", "--sql", "VACUUM INTO 'new.db'"],
            "a query only reads",
        ),
        (["sql", "--db", "TINY", "VACUUM INTO 'new.db'"], "a query only reads"),
        (["sql", "--db", "TINY", "-- nothing"], "the statement gives no rows"),
        (["pareto", "--db", "TINY", "--seed", "9"], "no run of recipe cifar100-10 with seed 9"),
        (["merge", "--db", "TINY", "none.db"], "none.db; create one"),
        (
            ["bench", "--db", "TINY", "--device-name", "a/b", "--arch", "1"],
            "letters, digits, -, _, . and +, not 'a/b'",
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
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
def test_both_ways_to_ask_for_help_work_on_every_command(name: str) -> None:
    short, long = (CliRunner().invoke(main, [name, option]) for option in ("-h", "--help"))
    assert (short.exit_code, long.exit_code) == (0, 0)
    assert short.output == long.output
    assert "-h, --help" in short.output
    assert short.output.isascii()


@pytest.mark.parametrize("option", ["-h", "--help"])
def test_the_list_of_commands_has_whole_summaries(option: str) -> None:
    shown = CliRunner().invoke(main, [option], terminal_width=60)
    assert shown.exit_code == 0
    text = " ".join(shown.output.split("Commands:")[1].split())
    assert "..." not in text
    for name in main.list_commands(click.Context(main)):
        command = main.get_command(click.Context(main), name)
        assert command is not None
        first = " ".join(str(command.help).split("\n\n")[0].split())
        assert f"{name} {first}" in text


@pytest.mark.parametrize("name", main.list_commands(click.Context(main)))
@pytest.mark.parametrize(
    "slip",
    [
        lambda n: n[1:],
        lambda n: n[:-1],
        lambda n: n.upper(),
        lambda n: n[1] + n[0] + n[2:],
        lambda n: n + "e",
    ],
)
def test_a_mistyped_command_is_told_the_nearest(name: str, slip: Callable[[str], str]) -> None:
    mistyped = slip(name)
    done = CliRunner().invoke(main, [mistyped, "--db", "none.db"])
    assert done.exit_code == 2
    assert f"there is no command {mistyped!r}; do you mean {name!r}?" in done.output


def test_a_command_that_is_like_none_gets_the_list() -> None:
    done = CliRunner().invoke(main, ["zzz"])
    assert done.exit_code == 2
    assert f"choose one of: {', '.join(main.list_commands(click.Context(main)))}" in done.output


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


CHOICES = {
    ("train", "precision"): list(PRECISIONS),
    ("bench", "precision"): list(PRECISIONS),
    ("train", "variant"): list(VARIANTS),
    ("train", "keep_weights"): list(KEPT),
    ("export", "format_name"): [*codecs.FORMATS, "parquet"],
    ("merge", "prefer"): list(merging.PREFERENCES),
    ("draw", "theme"): list(THEMES),
    ("plot", "figure"): ["costs", "curves", "agreement", "blocks", "spread"],
    ("plot", "epoch_measure"): list(EPOCH_MEASURES),
}


def options_of(command: str) -> dict[str, click.Parameter]:
    found = main.get_command(click.Context(main), command)
    assert found is not None
    return {str(option.name): option for option in found.params}


def test_choices_are_those_of_the_lists() -> None:
    found = {
        (command, name): list(option.type.choices)
        for command in main.list_commands(click.Context(main))
        for name, option in options_of(command).items()
        if isinstance(option.type, click.Choice)
    }
    assert found == CHOICES


def test_every_way_not_to_succeed_can_be_tried_again() -> None:
    assert set(UNSUCCESSFUL) <= set(options_of("retry"))


@pytest.mark.parametrize(("command", "option"), CHOICES)
def test_a_choice_that_there_is_not_lists_those_that_there_are(command: str, option: str) -> None:
    flag = options_of(command)[option].opts[0]
    rest = {"merge": ["other.db"], "train": ["--arch", "1"], "plot": ["--out", "a.svg"]}.get(command, [])
    given = ["nothing"] if option == "figure" else [flag, "nothing"]
    done = bloxdb(command, *given, *rest, code=2)
    for choice in CHOICES[command, option]:
        assert f"'{choice}'" in done.stderr


def test_a_command_whose_forking_process_has_died_has_no_exit_code() -> None:
    for number in (0, 1, -15, 70_000):
        ours, theirs = socket.socketpair()
        forks._tell(theirs, number)
        assert forks._number(ours) == number
        theirs.sendall(b"\0\0")
        theirs.close()
        for _ in range(2):
            with pytest.raises(EOFError, match="has ended"):
                forks._number(ours)
        ours.close()


def _commands() -> dict[str, click.Command]:
    context = click.Context(main)
    found = {name: main.get_command(context, name) for name in main.list_commands(context)}
    return {name: command for name, command in found.items() if command is not None}


NUMBERS = [
    (name, parameter)
    for name, command in _commands().items()
    for parameter in command.params
    if isinstance(parameter.type, click.IntRange | click.FloatRange)
]


@pytest.mark.parametrize(("name", "parameter"), NUMBERS, ids=lambda value: getattr(value, "name", value))
def test_what_is_no_number_is_told_with_the_range(name: str, parameter: click.Parameter) -> None:
    words = ["x"] if isinstance(parameter, click.Argument) else [parameter.opts[0], "x"]
    shown = CliRunner().invoke(main, [name, *words])
    kind: Any = parameter.type
    which = "whole number" if isinstance(kind, click.IntRange) else "number"
    bounds = f"of {kind.min} or more" if kind.max is None else f"in {kind.min} ... {kind.max}"
    assert shown.exit_code == 2
    assert f"'x' is no {which} {bounds}\n" in shown.output


OPTIONS = [
    (name, option)
    for name, command in _commands().items()
    for parameter in command.params
    if isinstance(parameter, click.Option)
    for option in parameter.opts
    if option not in ("-h", "--help")
]


@pytest.mark.parametrize(("name", "option"), OPTIONS)
@pytest.mark.parametrize("value", [["s.db"], []])
def test_an_option_before_its_command_is_told_to_stand_after_it(
    name: str, option: str, value: list[str]
) -> None:
    shown = CliRunner().invoke(main, [option, *value, name])
    assert shown.exit_code == 2
    assert shown.output.endswith(f"Error: options stand after the command: bloxdb {name} {option} ...\n")


@pytest.mark.parametrize("words", [["--nosuch", "top"], ["--db"], ["--db", "s.db"], ["--strict", "top"]])
def test_an_option_that_no_such_command_has_is_told_as_ever(words: list[str]) -> None:
    shown = CliRunner().invoke(main, words)
    assert shown.exit_code == 2
    assert "No such option" in shown.output
