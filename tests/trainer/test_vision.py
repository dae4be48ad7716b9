"""torchvision can be imported, whichever torch is beside it."""

from __future__ import annotations

import torch
from bloxdb.trainer.vision import torchvision


def test_torchvision_is_imported_once_with_its_data_sets_and_operators() -> None:
    found = torchvision()
    assert torchvision() is found
    from torchvision.datasets import CIFAR100

    assert CIFAR100.base_folder == "cifar-100-python"
    assert {"nms", "qnms"} <= {
        name.partition("::")[2]
        for name in torch._C._dispatch_get_all_op_names()
        if name.startswith("torchvision::")
    }
