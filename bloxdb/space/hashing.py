"""The graph fingerprint that names an architecture, computed: MD5 over a labelled graph, again and again.

Architectures are looked up in `hashes.bin`, which holds the fingerprints of all of them; this is what that
file is checked against (`make hashes` computes every one, the tests a sample).
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def fingerprint(labels: Sequence[int], edges: Iterable[tuple[int, int]]) -> bytes:
    """The fingerprint of a graph.

    Every node starts with the MD5 of the text ``(out_degree, in_degree, label)``, the degrees written as
    floats. As many times as there are nodes, each node's value becomes the MD5 of its sorted in-neighbours'
    values, its sorted out-neighbours' and its own, with ``|`` between the three. The fingerprint is the MD5
    of the sorted values, written as Python writes a list. All values are 32 hex digits.

    Parameters
    ----------
    labels
        A label a node.
    edges
        Pairs ``(from, to)`` of node positions, each pair once.

    Returns
    -------
    bytes
        The 16 bytes that the hex digits of a model hash spell.

    Examples
    --------
    >>> from bloxdb import space
    >>> graph = space.graph(0)
    >>> fingerprint(graph.labels, graph.edges).hex() == space.model_hash(0)
    True
    """
    sources: list[list[int]] = [[] for _ in labels]
    targets: list[list[int]] = [[] for _ in labels]
    for source, target in edges:
        targets[source].append(target)
        sources[target].append(source)
    values = [
        _md5(str((float(len(after)), float(len(before)), label)))
        for label, before, after in zip(labels, sources, targets, strict=True)
    ]
    for _ in labels:
        values = [
            _md5("|".join((_joined(values, before), _joined(values, after), own)))
            for own, before, after in zip(values, sources, targets, strict=True)
        ]
    return bytes.fromhex(_md5(str(sorted(values))))


def _joined(values: list[str], nodes: list[int]) -> str:
    return "".join(sorted(values[node] for node in nodes))


def _md5(text: str) -> str:
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()
