"""Figures of what is in a database: functions that take ``db`` and, by its name, ``ax``, and give
the axes.

They need matplotlib: ``pip install 'bloxdb[plot]'``. No style and no setting of matplotlib is changed.
"""

from bloxdb.plot.axes import save
from bloxdb.plot.learning import agreement, curves
from bloxdb.plot.scatter import costs
from bloxdb.plot.searching import search
from bloxdb.plot.stages import blocks, spread

__all__ = ["agreement", "blocks", "costs", "curves", "save", "search", "spread"]
