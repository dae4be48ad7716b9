"""Stochastic gradient descent, without the import of torch's compiler."""

from __future__ import annotations

from inspect import unwrap

import torch


class SGD(torch.optim.SGD):
    """`torch.optim.SGD`, the same to the last bit.

    torch wraps some methods of every optimizer, to keep its compiler out of them, and imports it for that:
    more than a second in each process, as long as an epoch of small images. Nothing here compiles an
    optimizer, so that the methods are taken as they are without their wraps.
    """

    add_param_group = unwrap(torch.optim.SGD.add_param_group)
    load_state_dict = unwrap(torch.optim.SGD.load_state_dict)
    state_dict = unwrap(torch.optim.SGD.state_dict)
    step = torch.no_grad()(unwrap(torch.optim.SGD.step))
    zero_grad = unwrap(torch.optim.SGD.zero_grad)
