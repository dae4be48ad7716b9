"""What nobody may say of runs: a sentence of ours, and nothing is written."""

from __future__ import annotations

import pytest

from bloxdb import Database
from bloxdb.errors import BloxError
from tests.runs.wrong import WRONG


@pytest.mark.parametrize("what", WRONG)
def test_it_is_told_in_a_sentence_and_changes_nothing(empty_db: Database, what: str) -> None:
    say, message = WRONG[what]
    with pytest.raises(BloxError, match=message) as caught:
        say(empty_db)
    assert type(caught.value).__module__ == "bloxdb.errors"
    assert empty_db.rows("SELECT status, message FROM runs WHERE status NOT IN ('pending', 'running')") == []
    assert empty_db.rows("SELECT epoch FROM epochs WHERE epoch > 2") == []
