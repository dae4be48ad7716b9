"""Opening a `Dataset`: from the files of a release, or from a database."""

from __future__ import annotations

from collections.abc import Iterable
from os import PathLike

from bloxdb.dataset.database import DatabaseSource
from bloxdb.dataset.dataset import Dataset
from bloxdb.dataset.folder import Devices, read_folder
from bloxdb.db.database import Database, asked
from bloxdb.db.references import Seeds


def from_folder(
    folder: str | PathLike[str],
    *,
    extended: bool = False,
    seeds: Seeds = None,
    devices: Devices = None,
    include_static_info: bool = False,
    include_env_info: bool = False,
    validate_data: bool = True,
    preferred_ext: str | Iterable[str] | None = None,
) -> Dataset:
    """Load a release from a folder.

    Parameters
    ----------
    folder
        The folder of the files, in any mixture of formats.
    extended
        Load the ext files, too: training accuracies and all losses.
    seeds, devices
        The seeds and the devices to load, one or several; all that the folder has if None. False for
        `devices` leaves latencies out.
    include_static_info, include_env_info
        Load FLOPs and parameters, and environments.
    validate_data
        Check that the files belong together.
    preferred_ext
        The formats that may be read, the preferred one first, with a dot or without: one, or several. A
        format that is not among them is never read. ``'blox'``, ``'pickle'``, ``'csv'`` if None.

    Returns
    -------
    Dataset
        What was asked for, in memory.

    Raises
    ------
    BloxFormatError
        A file is damaged.
    ReleaseError
        A file is missing, its name and its header do not agree, or two do not belong together.
    QueryError
        There is no such seed, device or format; the error lists those that there are.

    Warns
    -----
    UserWarning
        A file looks like one of a release and is not taken; the warning says why.
    """
    source = read_folder(
        folder,
        extended=extended,
        seeds=seeds,
        devices=devices,
        info=include_static_info,
        env=include_env_info,
        preferred_ext=preferred_ext,
        validate=validate_data,
    )
    return Dataset(source)


def from_database(db: Database | None = None, *, recipe: str | None = None, seeds: Seeds = None) -> Dataset:
    """The finished runs of a database under the original package's API; nothing is loaded up front.

    Parameters
    ----------
    db
        The database; the current one if not given.
    recipe
        The name of the recipe; needed where there are several.
    seeds
        Only runs of this seed, or of these.

    Returns
    -------
    Dataset
        It asks the database at each call.

    Raises
    ------
    QueryError
        There is no such recipe or seed.
    """
    return Dataset(DatabaseSource(asked(db), recipe=recipe, seeds=seeds))
