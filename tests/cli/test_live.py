"""What is shown of a training that goes on."""

from __future__ import annotations

import pytest
from bloxdb.trainer.booking import Event

from bloxdb.cli.live import Board, duration, sentence, shown


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (89.4, "89 s"),
        (90, "2 min"),
        (90 * 60 - 1, "90 min"),
        (90 * 60, "1.5 h"),
        (48 * 3600 - 1, "48.0 h"),
        (48 * 3600, "2.0 days"),
    ],
)
def test_durations_are_as_a_person_says_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(
    ("event", "text"),
    [
        (Event("a:1", "start", 7), "architecture 7: a:1 begins"),
        (Event("a:1", "start", 0, epoch=3), "architecture 0: a:1 goes on after epoch 3"),
        (
            Event("a:1", "epoch", 7, 2, 9, 61.234, 1234.5),
            "architecture 7: epoch 2 of 9, val_top1 61.23 %, 1,234 images/s",
        ),
        (
            Event("a:1", "end", 7, 9, 9, 60.0, message="finished"),
            "architecture 7: finished, test_top1 60.00 %",
        ),
        (Event("a:1", "end", 7, message="failed: no"), "architecture 7: failed: no"),
        (Event("a:1", "wait", message="waiting for 2"), "a:1 waiting for 2"),
    ],
)
def test_an_event_is_a_sentence(event: Event, text: str) -> None:
    assert sentence(event) == text


def test_a_board_knows_who_trains_what_has_ended_and_what_is_left() -> None:
    left = [5]
    board = Board(6, lambda: left[0])
    assert board.summary() == "1 of 6 runs have ended"
    board.see(Event("a:1", "start", 7))
    board.see(Event("b:2", "start", 8))
    board.see(Event("a:1", "epoch", 7, 1, 2, 50.0))
    board.see(Event("a:1", "note", 7, message="something"))
    assert {name: event.kind for name, event in board.workers.items()} == {"a:1": "epoch", "b:2": "start"}
    left[0] = 4
    board.see(Event("a:1", "end", 7, message="finished"))
    assert list(board.workers) == ["b:2"]
    assert board.ended == ["architecture 7: finished"]
    assert board.summary() == "2 of 6 runs have ended, the rest in about 0 s"
    left[0] = 0
    for arch in range(20):
        board.see(Event("b:2", "end", arch, message="finished"))
    assert board.ended == [f"architecture {arch}: finished" for arch in range(12, 20)]
    assert board.summary() == "6 of 6 runs have ended"


def test_where_there_is_no_terminal_the_first_epoch_and_then_few_are_logged(
    capsys: pytest.CaptureFixture[str],
) -> None:
    board = Board(1, lambda: 1)
    with shown(board) as tell:
        for epoch in range(1, 5):
            tell(Event("a:1", "epoch", 7, epoch, 4, 50.0, 10.0))
        tell(Event("a:1", "end", 7, 4, 4, 51.0, message="finished"))
    assert capsys.readouterr().out.splitlines() == [
        "architecture 7: epoch 1 of 4, val_top1 50.00 %, 10 images/s",
        "architecture 7: finished, test_top1 51.00 %",
        "0 of 1 run has ended",
    ]
