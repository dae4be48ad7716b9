"""Database <-> Tables, a release folder at a time."""

from bloxdb.files import ExportReport
from bloxdb.release.changes import ImportReport
from bloxdb.release.exporter import export_release
from bloxdb.release.folder import left_out, release_files
from bloxdb.release.importer import import_release
from bloxdb.release.verifier import FormatCheck, LoadedFile, verify_release

__all__ = [
    "ExportReport",
    "FormatCheck",
    "ImportReport",
    "LoadedFile",
    "export_release",
    "import_release",
    "left_out",
    "release_files",
    "verify_release",
]
