"""Table <-> bytes: one module a format, and one table of them in `formats`.

>>> from bloxdb import codecs
>>> codecs.FORMATS["csv"].SUFFIX
'.csv'
"""

from bloxdb.codecs.formats import (
    EXTENSIONS,
    FORMATS,
    Extension,
    Format,
    decode,
    encode,
    read,
    read_header,
    write,
)
from bloxdb.codecs.header import Header
from bloxdb.codecs.table import Table

__all__ = [
    "EXTENSIONS",
    "FORMATS",
    "Extension",
    "Format",
    "Header",
    "Table",
    "decode",
    "encode",
    "read",
    "read_header",
    "write",
]
