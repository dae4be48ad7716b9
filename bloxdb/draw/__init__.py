"""Drawings of architectures as SVG, by themselves: no database and no other package is needed.

`Drawing.save` writes ``.svg``, and with ``pip install 'bloxdb[plot]'`` also ``.png`` and ``.pdf``.
"""

from bloxdb.draw.networks import arch, schemes, supernet
from bloxdb.draw.pages import Page, table
from bloxdb.draw.svg import Drawing

__all__ = ["Drawing", "Page", "arch", "schemes", "supernet", "table"]
