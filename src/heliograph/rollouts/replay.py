"""Replay: what a team did, kept in bounded memory as whole aligned rollouts, from which minibatches are drawn."""

import dataclasses
from typing import Any, final

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from heliograph.rollouts.rollout import Rollout, fill_final, lengthened
from heliograph.rollouts.split_episodes import in_stretches
from heliograph.types import Tree, changed, held, map_tensors, tensors_of

__all__ = ["Ahead", "Minibatch", "Replay"]

LEAST_DEVIATION = 1e-6
"""Of rewards, so that those which never vary can be divided by it."""


@dataclasses.dataclass(kw_only=True)
class Ahead:
    """Choices that may be made in the step after each: who acts and who speaks there, and the legal actions by role.

    After the end of an episode nobody knows: all act and speak, and everything is legal.
    """

    acting: Bool[Tensor, "T B N"]
    speaking: Bool[Tensor, "T B N"]
    action_mask: dict[str, Tensor] | None


@dataclasses.dataclass(kw_only=True)
class Minibatch:
    """Stretches that were drawn from a replay, side by side as copies, and what comes after each of their steps."""

    rollout: Rollout
    ahead: Ahead


@final
class Replay:
    """A ring of the newest stretches of `length` env steps, `num_env_steps` in all, on the rollouts' device.

    With `length` 1 single steps are kept, for teams that carry nothing from step to step; else whole episodes of at
    most so many, whose steps after the end are not valid. Every stretch holds all agents, and what was drawn, said and
    heard in it. Stretches are drawn uniformly with replacement; those in one rollout keep its order.
    """

    def __init__(self, *, num_env_steps: int, length: int):
        self.length, self.capacity = length, max(1, num_env_steps // length)
        self.number = self._next = 0
        self._kept: Minibatch | None = None
        self._saved: dict[str, Any] | None = None
        self._moments: tuple[Tensor, Tensor] | None = None

    @property
    def rollout(self) -> Rollout:
        """All that is kept; copies beyond `number` are empty."""
        return self._ring.rollout

    def add(self, rollout: Rollout) -> None:
        """Keep the stretches of a rollout of whole episodes, in the place of the oldest ones."""
        new = self._stretches(changed(rollout, trace=None, info={}))
        self._moments = None
        if self._kept is None:
            self._begin(new)
        new = self._alike(new)
        number = new.rollout.num_envs
        if number > self.capacity:
            newest = torch.arange(number - self.capacity, number, device=new.rollout.rewards.device)
            new, number = _taken(new, newest), self.capacity
        place = (self._next + torch.arange(number, device=new.rollout.rewards.device)) % self.capacity
        _write(self._ring, new, place)
        self._next = (self._next + number) % self.capacity
        self.number = min(self.number + number, self.capacity)

    def sample(self, num_env_steps: int, *, generator: torch.Generator) -> Minibatch:
        """Draw stretches of about that many env steps."""
        number = max(1, round(num_env_steps / self.length))
        chosen = torch.randint(self.number, (number,), generator=generator).to(self.rollout.rewards.device)
        return _taken(self._ring, chosen)

    def moments_of_rewards(self) -> tuple[Float[Tensor, " N"], Float[Tensor, " N"]]:
        """Mean and standard deviation of each agent's rewards in all valid steps that are kept."""
        if self._moments is None:
            valid = self.rollout.valid[:, : self.number].unsqueeze(-1)
            rewards, count = self.rollout.rewards[:, : self.number], valid.sum().clamp(min=1)
            mean = torch.where(valid, rewards, 0.0).sum((0, 1)) / count
            variance = torch.where(valid, (rewards - mean).square(), 0.0).sum((0, 1)) / count
            self._moments = mean, variance.sqrt().clamp(min=LEAST_DEVIATION)
        return self._moments

    # ---- state ------------------------------------------------------------------------------------------------

    def get_state(self) -> dict[str, Any]:
        """All that is kept; the unused part of the ring is left out."""
        if self._kept is None:
            return dict(self._saved or {"number": 0, "next": 0, "has_final": False, "leaves": []})
        has_final = self.rollout.final_observations is not None
        leaves = [leaf[:, : self.number].clone() for leaf in tensors_of(_by_time(self._kept))]
        leaves += [leaf[: self.number].clone() for leaf in tensors_of(self.rollout.initial)]
        return {"number": self.number, "next": self._next, "has_final": has_final, "leaves": leaves}

    def set_state(self, state: dict[str, Any]) -> None:
        """Keep what was saved; it takes its place when the next rollout shows what there is of one."""
        self._kept, self._saved = None, dict(state)
        self.number, self._next = state["number"], state["next"]

    # ---- what is kept -----------------------------------------------------------------------------------------

    @property
    def _ring(self) -> Minibatch:
        if self._kept is None:
            raise RuntimeError("the replay is empty: add a rollout first")
        return self._kept

    def _stretches(self, rollout: Rollout) -> Minibatch:
        if self.length == 1:
            alive = rollout.valid.flatten().nonzero().squeeze(1)
            cut = map_tensors(lambda leaf: leaf.flatten(0, 1).unsqueeze(0), _ahead(rollout))
            return _taken(Minibatch(rollout=in_stretches(rollout, 1), ahead=cut), alive)
        if rollout.num_steps > self.length:
            raise ValueError(
                f"an episode of {rollout.num_steps} env steps, and replay of at most {self.length}: an environment "
                "must end its episodes by its horizon or time_limit"
            )
        if rollout.num_steps < self.length:
            rollout = lengthened(rollout, self.length)
        return Minibatch(rollout=rollout, ahead=_ahead(rollout))

    def _begin(self, new: Minibatch) -> None:
        """Make room for stretches such as these, and put what was saved where it was."""
        saved, self._saved = self._saved, None
        if saved is not None and saved["has_final"] and new.rollout.final_observations is None:
            new = changed(new, rollout=fill_final(new.rollout))
        shaped = changed(new.rollout, **_emptied(new.rollout.by_time(), self.capacity, axis=1))
        shaped.initial = _emptied(new.rollout.initial, self.capacity, axis=0)
        ahead = _emptied(new.ahead, self.capacity, axis=1)
        self._kept = Minibatch(rollout=shaped, ahead=ahead)
        if saved is None or not saved["number"]:
            return
        if not saved["has_final"] and self.rollout.final_observations is not None:
            self._kept.rollout = changed(self.rollout, final_observations=None, final_state=None)
        by_time = tensors_of(_by_time(self._kept))
        for leaf, values in zip(by_time, saved["leaves"], strict=False):
            leaf[:, : self.number] = values
        for leaf, values in zip(tensors_of(self.rollout.initial), saved["leaves"][len(by_time) :], strict=True):
            leaf[: self.number] = values

    def _alike(self, new: Minibatch) -> Minibatch:
        """Give final observations to both, what is kept and what is new, where either has them."""
        kept_has, new_has = (x.final_observations is not None for x in (self.rollout, new.rollout))
        if new_has and not kept_has:
            filled = fill_final(self.rollout)
            own = {key: map_tensors(torch.clone, held(filled, key)) for key in ("final_observations", "final_state")}
            self._ring.rollout = changed(self.rollout, **own)
        return changed(new, rollout=fill_final(new.rollout)) if kept_has and not new_has else new


def _ahead(rollout: Rollout) -> Ahead:
    over = rollout.episode_over

    def after(leaf: Tensor) -> Tensor:
        """The same one step later; True where the episode is over."""
        later = torch.cat([leaf[1:], leaf[-1:]])
        return later | over.view(*over.shape, *[1] * (leaf.dim() - 2))

    return Ahead(
        acting=after(rollout.acting),
        speaking=after(rollout.speaking),
        action_mask=map_tensors(after, rollout.action_mask),
    )


def _by_time(kept: Minibatch) -> Tree:
    return {"rollout": kept.rollout.by_time(), "ahead": kept.ahead}


def _emptied(tree: Tree, size: int, *, axis: int) -> Tree:
    return map_tensors(lambda leaf: leaf.new_zeros(*leaf.shape[:axis], size, *leaf.shape[axis + 1 :]), tree)


def _write(ring: Minibatch, new: Minibatch, place: Tensor) -> None:
    map_tensors(lambda old, leaf: old.index_copy_(1, place, leaf), _by_time(ring), _by_time(new))
    map_tensors(lambda old, leaf: old.index_copy_(0, place, leaf), ring.rollout.initial, new.rollout.initial)


def _taken(from_: Minibatch, chosen: Tensor) -> Minibatch:
    ahead = map_tensors(lambda leaf: leaf.index_select(1, chosen), from_.ahead)
    return Minibatch(rollout=from_.rollout.select(chosen), ahead=ahead)
