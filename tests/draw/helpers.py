"""A drawing as what is in it: nodes, wires, texts."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from xml.etree import ElementTree

SVG = "{http://www.w3.org/2000/svg}"


@dataclass(frozen=True)
class Box:
    """A rectangle of a drawing."""

    x: float
    y: float
    width: float
    height: float

    def meets(self, other: Box) -> bool:
        """Whether two have an area in common."""
        apart_x = self.x + self.width <= other.x or other.x + other.width <= self.x
        apart_y = self.y + self.height <= other.y or other.y + other.height <= self.y
        return not (apart_x or apart_y)


class Parsed:
    """What is in the text of an SVG image."""

    def __init__(self, drawing: str) -> None:
        self.root = ElementTree.fromstring(drawing)
        self.width, self.height = (float(self.root.attrib[name]) for name in ("width", "height"))
        shapes = list(self.root)
        self.ops = {s.attrib["data-node"]: s.attrib["data-op"] for s in shapes if "data-op" in s.attrib}
        self.nodes = [s.attrib["data-node"] for s in shapes if "data-node" in s.attrib]
        self.boxes = {
            s.attrib["data-node"]: Box(*(float(s.attrib[name]) for name in ("x", "y", "width", "height")))
            for s in shapes
            if s.tag == f"{SVG}rect" and "data-node" in s.attrib
        }
        self.texts = [s.text or "" for s in shapes if s.tag == f"{SVG}text"]
        self.wires: list[tuple[str, str]] = []
        for shape in shapes:
            if "data-from" not in shape.attrib:
                continue
            path = [shape.attrib["data-from"], shape.attrib.get("data-through"), shape.attrib["data-to"]]
            names = [name for name in path if name]
            self.wires += itertools.pairwise(names)

    def between(self, kept: set[str]) -> set[tuple[str, str]]:
        """Wires between nodes that are kept, those of others followed to their ends."""
        found = set()
        for first in kept:
            todo = [target for source, target in self.wires if source == first]
            while todo:
                node = todo.pop()
                if node in kept:
                    found.add((first, node))
                else:
                    todo += [target for source, target in self.wires if source == node]
        return found
