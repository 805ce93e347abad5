"""What a learner asks of a rollout before it learns from it: that replaying it gives what was sampled."""

from torch import Tensor

from heliograph.rollouts.rollout import Rollout
from heliograph.team.assignment import Layout
from heliograph.team.unroll import Unrolled

__all__ = ["MOST_RATIO_ERROR", "first_difference"]

MOST_RATIO_ERROR = 1e-3
"""How far the ratio of new to old probabilities may be from 1 before the first step on a batch; rounding gives 1e-5."""


def first_difference(rollout: Rollout, unrolled: Unrolled, *, layout: Layout, env_steps: int) -> str:
    """Tell which policy and agent, in which step, first finds another probability for what it did than it had then."""
    action = unrolled.action_log_prob.detach() - rollout.action_log_prob
    message = unrolled.message_log_prob.detach() - rollout.message_log_prob
    apart = ((action + message).exp() - 1).abs() * (rollout.acting | rollout.speaking)
    apart = apart * rollout.valid.unsqueeze(-1)
    step = int((apart.flatten(1).amax(1) > MOST_RATIO_ERROR).int().argmax())
    copy, slot = divmod(int(apart[step].argmax()), apart.shape[-1])
    what = "message" if abs(float(message[step, copy, slot])) > abs(float(action[step, copy, slot])) else "action"
    ratio = float((action + message)[step, copy, slot].exp())
    return (
        f"what was replayed is not what was sampled: in the first minibatch after {env_steps} env steps, policy "
        f"{_policy(rollout, layout, step=step, copy=copy, slot=slot)!r} finds the {what} of agent "
        f"{layout.agents[slot]!r} in step {step} {ratio:.4g} times as likely as it was when it was chosen, with the "
        "same weights. Look for a model or channel that keeps something outside its memory and its state, draws what "
        "no rollout records, or behaves otherwise in training mode; and for an environment that changes what it gave"
    )


def _policy(rollout: Rollout, layout: Layout, *, step: int, copy: int, slot: int) -> str:
    seated: Tensor = layout.default_assignment()
    if rollout.assignment is not None:
        seated = rollout.assignment[step, copy]
    return layout.policies[int(seated[slot])]
