"""The colours of everything that is drawn, one place for drawings, figures and pages.

Operations differ in lightness as much as in hue, so that they are told apart in greyscale and by whoever sees
red and green alike; names stand in the boxes besides.
"""

from __future__ import annotations

from bloxdb.space.cells import OPS

OP_COLOURS = dict(zip(OPS, ("#1f5a94", "#f2b84b", "#2e9e86"), strict=True))
"""The colour of each operation."""

OP_INKS = dict(zip(OPS, ("#ffffff", "#14181d", "#14181d"), strict=True))
"""The colour of text on each of `OP_COLOURS`."""

SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#56b4e9", "#e69f00", "#4d4d4d")
"""Colours of lines in their order: M. Okabe, K. Ito, Color Universal Design, 2008, grey instead of yellow."""

LIGHT = {
    "paper": "#ffffff",
    "panel": "#f3f5f7",
    "ink": "#14181d",
    "faint": "#4a535d",
    "wire": "#39424c",
    "bar": "#c9d0d7",
    "mark": "#0072b2",
}
"""What the parts of a drawing are coloured with on white."""

DARK = {
    "paper": "#14181d",
    "panel": "#22282f",
    "ink": "#f2f4f6",
    "faint": "#b9c2cb",
    "wire": "#c3ccd5",
    "bar": "#4a535d",
    "mark": "#56b4e9",
}
"""What the parts of a drawing are coloured with on black."""
