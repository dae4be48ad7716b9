"""The network of a vector; torch is imported when one is made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from bloxdb.space.costs import CLASSES

__all__ = ["get_model"]

if TYPE_CHECKING:
    from bloxdb.trainer import Network


def get_model(arch_vec: Any, num_classes: int = CLASSES) -> Network:
    """The torch network of an architecture, with initial weights as torch draws them.

    Parameters
    ----------
    arch_vec
        The vector.
    num_classes
        Outputs of the network.

    Returns
    -------
    torch.nn.Module
        It takes images, float32 (N, 3, H, W), and gives logits (N, `num_classes`).

    Raises
    ------
    InvalidArchError
        The vector is malformed, or a cell has no path.
    MissingExtraError
        torch is not installed.
    """
    from bloxdb.trainer import Network

    return Network(arch_vec, num_classes)
