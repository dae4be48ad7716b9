"""torchvision, also beside a torch that was built without CUDA.

The wheels of torchvision on PyPI are CUDA builds. Beside a CPU-only torch their compiled part does not load,
and the import stops at operators whose schemas it would have defined. Nothing here calls those operators.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType

import torch

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)

_libraries: list[torch.library.Library] = []  # a schema lives as long as its library object


def torchvision() -> ModuleType:
    """Import torchvision; where that fails for want of its operators, with their schemas defined first."""
    try:
        return importlib.import_module("torchvision")
    except RuntimeError as error:
        if "torchvision::" not in str(error):
            raise
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    library = torch.library.Library("torchvision", "DEF")
    for schema in _SCHEMAS:
        library.define(schema)
    _libraries.append(library)
    return importlib.import_module("torchvision")
