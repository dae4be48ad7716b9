"""Model hashes and architecture indices, many at once."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from sqlalchemy import select
from sqlalchemy.orm import Session

from bloxdb.codecs import Table
from bloxdb.db.schema import Arch
from bloxdb.errors import BloxFormatError

Ids = npt.NDArray[np.int64]


class HashIndex:
    """Finds architectures by their hashes.

    Parameters
    ----------
    ids
        Architecture indices, rising.
    digests
        Their hashes, uint8 (n, 16).
    """

    def __init__(self, ids: Ids, digests: npt.NDArray[np.uint8]) -> None:
        self._ids = ids
        self._digests = digests
        items = np.ascontiguousarray(digests).view("S16").ravel()
        self._order = np.argsort(items)
        self._sorted = items[self._order]

    def digests(self, ids: Ids) -> npt.NDArray[np.uint8]:
        """Hashes of architecture indices, shape (n, 16)."""
        return self._digests[np.searchsorted(self._ids, ids)]

    def ids(self, table: Table, source: str) -> Ids:
        """Architecture indices of a table's rows.

        Raises
        ------
        BloxFormatError
            A hash is not that of an architecture.
        """
        wanted = np.ascontiguousarray(table["model_hash"]).view("S16").ravel()
        place = np.minimum(np.searchsorted(self._sorted, wanted), len(self._sorted) - 1)
        unknown = np.flatnonzero(self._sorted[place] != wanted)
        if unknown.size:
            row = int(unknown[0])
            raise BloxFormatError(
                f"{table.hashes()[row]} is not the hash of an architecture of Blox",
                source=source,
                row=row,
                column="model_hash",
            )
        ids: Ids = self._ids[self._order[place]]
        return ids


def stored_hashes(session: Session) -> HashIndex:
    """The hashes of a database's architectures, in memory."""
    rows = session.execute(select(Arch.id, Arch.hash).order_by(Arch.id)).all()
    digests = np.frombuffer(bytes.fromhex("".join(row[1] for row in rows)), dtype=np.uint8)
    return HashIndex(np.array([row[0] for row in rows], dtype=np.int64), digests.reshape(-1, 16))
