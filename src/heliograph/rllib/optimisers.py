"""Adam and RMSProp without what torch looks up anew for each weight in each step: the same numbers and states."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

__all__ = ["FusedAdam", "LeanRMSprop"]


class FusedAdam(torch.optim.Adam):
    """`torch.optim.Adam(fused=True)` of one group of weights: the same numbers, and the same state to save.

    For some thirty small weights torch's own step takes three times as long, nearly all of it in Python.
    """

    def __init__(self, params: list[Tensor], *, eps: float):
        super().__init__(params, eps=eps, fused=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the weights that have a gradient; torch's own step where one has no state yet."""
        (group,) = self.param_groups
        moving = [weight for weight in group["params"] if weight.grad is not None]
        states = [self.state.get(weight) for weight in moving]
        if closure is not None or not moving or not all(states):
            return super().step(closure)
        beta1, beta2 = group["betas"]
        counts = [state["step"] for state in states]
        torch._foreach_add_(counts, 1)
        torch._fused_adam_(
            moving, [weight.grad for weight in moving], [state["exp_avg"] for state in states],
            [state["exp_avg_sq"] for state in states], [], counts, lr=group["lr"], beta1=beta1, beta2=beta2,
            weight_decay=group["weight_decay"], eps=group["eps"], amsgrad=False, maximize=False, grad_scale=None,
            found_inf=None,
        )  # fmt: skip
        return None


class LeanRMSprop(torch.optim.RMSprop):
    """`torch.optim.RMSprop(foreach=True)` of one group of weights: the same numbers, and the same state to save."""

    def __init__(self, params: list[Tensor], *, alpha: float, eps: float = 1e-8, momentum: float = 0.0):
        super().__init__(params, alpha=alpha, eps=eps, momentum=momentum, foreach=True)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Move the weights that have a gradient; torch's own step where one has no state yet."""
        (group,) = self.param_groups
        moving = [weight for weight in group["params"] if weight.grad is not None]
        states = [self.state.get(weight) for weight in moving]
        if closure is not None or not moving or not all(states):
            return super().step(closure)
        gradients, squares = [weight.grad for weight in moving], [state["square_avg"] for state in states]
        torch._foreach_add_([state["step"] for state in states], 1)
        torch._foreach_mul_(squares, group["alpha"])
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - group["alpha"])
        scale = torch._foreach_sqrt(squares)
        torch._foreach_add_(scale, group["eps"])
        if group["momentum"] > 0:
            moved = [state["momentum_buffer"] for state in states]
            torch._foreach_mul_(moved, group["momentum"])
            torch._foreach_addcdiv_(moved, gradients, scale)
            torch._foreach_add_(moving, moved, alpha=-group["lr"])
        else:
            torch._foreach_addcdiv_(moving, gradients, scale, value=-group["lr"])
        return None
