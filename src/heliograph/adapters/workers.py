"""Python environments in worker processes, as one team environment.

Each process makes and steps some of the copies, with the adapter that would hold them all in this one. What they show
and are told stands in memory that all share, so that a step pickles nothing; a byte says that it is to be made.
"""

import os
import warnings
import weakref
from collections.abc import Callable, Mapping, Sequence
from typing import Any, final

import cloudpickle
import torch
from torch import Tensor

from heliograph.adapters.failures import Warned
from heliograph.adapters.numbering import shares, workers_wanted
from heliograph.adapters.orders import BEGIN, STEP, Facts, Question, Reply, orders_for
from heliograph.adapters.shared import Memory, leaves, mapped, stackable_form
from heliograph.adapters.worker import WorkerHandle, all_ended
from heliograph.envs.base import BaseSettings, Outcome, TeamEnv, View
from heliograph.envs.checking import EnvError
from heliograph.envs.foreign import ForeignEnv
from heliograph.types import Tree

__all__ = ["WorkedEnv", "seeds_of"]


def seeds_of(env: TeamEnv) -> Tensor:
    """Seeds `[B]` for Python environments, the next of a team environment's stream: for all copies, whoever starts."""
    shape = (env.num_envs,)
    return torch.randint(2**31 - 1, shape, generator=env.start_generator, device=env.device)


@final
class WorkedEnv(ForeignEnv):
    """The copies that `adapt(**settings)` would make, in `num_workers` processes; episodes are the same, bit for bit.

    `adapt` makes a `StackedEnv`; it and the settings are sent to the processes, which must be able to import what they
    name (functions of a script or a notebook travel whole).
    """

    resumable = counts_absent = False

    def __init__(self, adapt: Callable[..., Any], settings: Mapping[str, Any]):
        num_envs, number = settings.get("num_envs", 1), workers_wanted(settings)
        self._handle = os.memfd_create("heliograph")
        self._memory, self._workers = Memory(self._handle), []  # type: ignore[var-annotated]
        self._end = weakref.finalize(self, _ended, self._workers, self._handle)
        self._view: View | None = None
        self._outcome: Outcome | None = None
        self._actions: list[Tensor] = []
        self._found, self._told = False, {}  # type: ignore[var-annotated]
        try:
            facts = self._made(adapt, settings, shares(num_envs, number))
            base = {name: value for name, value in settings.items() if name in BaseSettings.__annotations__}
            super().__init__(facts.roles, **base)
        except BaseException:
            self._end()
            raise
        self._facts, self.role_rule = facts, facts.role_rule
        self._orders = self._memory.add(orders_for(num_envs), num_rows=num_envs)

    def _made(self, adapt: Callable[..., Any], settings: Mapping[str, Any], copies: list[range]) -> Facts:
        sent = {"adapt": _pickled(adapt, what="the environment"), "settings": _pickled_settings(settings)}
        what = getattr(adapt, "name", None) or "the environment"
        for share in copies:
            self._workers.append(WorkerHandle(share, memory=self._handle, what=what))
        for worker, share in zip(self._workers, copies, strict=True):
            entropy = [settings.get("seed", 0), share[0]]
            place = {"first": share[0], "number": len(share), "num_envs": copies[-1][-1] + 1, "entropy": entropy}
            worker.call("make", **sent, **place)
        first, *others = self._gathered(self._workers)
        for worker, facts in zip(self._workers[1:], others, strict=True):
            if (facts.roles, facts.agent_ids) != (first.roles, first.agent_ids):
                raise EnvError(
                    f"copy {worker.copies[0]} has other agents or spaces than copy 0: {facts.roles} and {first.roles}; "
                    "all copies of an environment must have the same"
                )
        self._called("agree", self._workers)
        return first

    @property
    def agent_ids(self) -> tuple[Any, ...]:
        """Return what the Python environments call the agents, in the order of their slots."""
        return self._facts.agent_ids

    @property
    def num_workers(self) -> int:
        """Return how many processes there are."""
        return len(self._workers)

    @property
    def process_ids(self) -> list[int]:
        """The numbers of the processes, in the order of their copies."""
        return [worker.pid for worker in self._workers]

    def described_spaces(self) -> dict[str, str]:
        """Return what the agents of each role see and choose, in a sentence; what is an image was decided by rule."""
        return dict(self._facts.described)

    def heeds_seed(self) -> bool:
        """Tell whether two resets of the first copy with one seed show the same.

        `reset()` is to be called afterwards.
        """
        return bool(self._called("heeds_seed", self._workers[:1])[0])

    def try_out(self) -> None:
        """Warn where the seed of a reset does not decide what it shows."""
        self._called("try_out", self._workers[:1])

    def close(self) -> None:
        """Close all copies, then end the processes; one that is still busy some seconds later is ended by force."""
        if not self._end.alive:
            return
        try:
            self._called("close", [worker for worker in self._workers if worker.is_free()])
        finally:
            self._end()

    # ---- the hooks of ForeignEnv ---------------------------------------------------------------------------------

    def restart(self, starting: Tensor) -> None:
        """Begin an episode in the copies of the mask `[B]`."""
        self._orders.starting.copy_(starting)
        self._orders.seeds.copy_(seeds_of(self))
        self._orders.elapsed.copy_(self._elapsed)
        flags = self._orders.starting.tolist()
        views = self._ordered(BEGIN, [w for w in self._workers if any(flags[copy] for copy in w.copies)])
        if self._view is None:
            self._view = self._shared("view", views)

    def move(self, actions: dict[str, Tensor], moving: Tensor) -> Outcome:
        """Let the processes step the copies of the mask."""
        found = [actions[role.name].detach() for role in self.roles]
        if [(each.dtype, each.shape) for each in found] != [(each.dtype, each.shape) for each in self._actions]:
            self._expect({role.name: action for role, action in zip(self.roles, found, strict=True)})
        for action, target in zip(found, self._actions, strict=True):
            target.copy_(action)
        self._orders.moving.copy_(moving)
        self._orders.elapsed.copy_(self._elapsed)
        outcomes = self._ordered(STEP, self._workers)
        if self._outcome is None:
            self._outcome = self._shared("outcome", outcomes)
        return mapped(self._outcome, self._taken)

    def _expect(self, actions: dict[str, Tensor]) -> None:
        """Tell the workers of what shapes and dtypes actions are."""
        template = {name: torch.empty_like(action[:1], device="cpu") for name, action in actions.items()}
        self._actions = list(leaves(self._memory.add(template, num_rows=self.num_envs)))
        self._called("expect", self._workers, actions=template)

    def look(self) -> View:
        """Show what the processes told last."""
        if self._view is None:
            raise RuntimeError("call reset() before view()")
        return mapped(self._view, self._taken)

    def _taken(self, tensor: Tensor) -> Tensor:
        return tensor.clone() if self.device.type == "cpu" else tensor.to(self.device)

    # ---- workers together --------------------------------------------------------------------------------------

    def _called(self, name: str, workers: Sequence[WorkerHandle], **arguments: Any) -> list[Any]:
        for worker in workers:
            worker.call(name, **arguments)
        return self._gathered(workers)

    def _ordered(self, order: bytes, workers: Sequence[WorkerHandle]) -> list[Any]:
        for worker in workers:
            worker.order(order)
        return self._gathered(workers)

    def _gathered(self, workers: Sequence[WorkerHandle]) -> list[Any]:
        """Return what the workers answer; raises what the first of them raised, once all have answered."""
        replies = [worker.receive() for worker in workers]
        asked = [index for index, reply in enumerate(replies) if isinstance(reply, Question)]
        if asked:
            self._found = self._found or any(reply.found for reply in replies if isinstance(reply, Question))
            for index in asked:
                workers[index].answer(found=self._found)
            for index in asked:
                replies[index] = workers[index].receive()
        said = [reply for reply in replies if isinstance(reply, Reply)]
        self._warn([warned for reply in said for warned in reply.warned])
        for reply in said:
            if reply.failure is not None:
                raise reply.failure.error()
        return [reply.value for reply in said]

    def _warn(self, warned: list[Warned]) -> None:
        for each in warned:
            told = each.message, each.category
            warnings.warn_explicit(*told, filename=each.filename, lineno=each.lineno, registry=self._told)

    def _shared(self, what: str, trees: list[Tree]) -> Any:
        """Memory for a structure that each worker has shown its part of, which from now on stands there."""
        forms = [stackable_form(tree) for tree in trees]
        for worker, form in zip(self._workers, forms, strict=True):
            if form != forms[0]:
                told = f"the {what} of copy {worker.copies[0]} is {form}, that of copy 0 {forms[0]}"
                raise EnvError(f"{told}: all copies must show the same fields, in the same shapes and dtypes")
        shared = self._memory.add(trees[0], num_rows=self.num_envs)
        self._called("share", self._workers, what=what)
        return shared


def _ended(workers: list[WorkerHandle], handle: int) -> None:
    all_ended(workers)
    os.close(handle)


def _pickled_settings(settings: Mapping[str, Any]) -> bytes:
    for name, value in settings.items():
        _pickled(value, what=f"{name}=")
    return _pickled(dict(settings), what="the settings")


def _pickled(value: Any, *, what: str) -> bytes:
    try:
        return cloudpickle.dumps(value)
    except Exception as error:
        told = f"num_workers: {what} ({value!r}) cannot be sent to a worker process ({type(error).__name__}: {error})"
        raise ValueError(
            f"{told}: hand in a function that makes what it needs when it is called, or set num_workers=0"
        ) from error
