"""What runs in every step asks nothing of its device and mixes no devices: shown on `meta`, where both must fail.

Tensors on `meta` have no numbers: whatever would copy to the host (a truth value, a list, a mask as an index) raises,
and so does an operation on tensors of two devices. A step that passes here runs on a GPU without waiting for it.
`gacomm` alone must ask: its LSTM is packed by lengths that the host has to know.
"""

import functools
import itertools
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from heliograph import registry
from heliograph.envs.base import TeamEnv
from heliograph.envs.predator_prey import PredatorPrey
from heliograph.envs.traffic_junction import TrafficJunction
from heliograph.experiments.choices import PolicyChoice, build_team, facts_of
from heliograph.rollouts.recording import Record
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler
from heliograph.team.assignment import Layout
from heliograph.team.participation import Participation
from heliograph.testing.small_teams import ENVS
from heliograph.types import Choice, MessageForm
from tests.envs.test_conformance import ENVS as EACH_ENV
from tests.envs.test_conformance import VARIANTS
from tests.parts import CHANNELS, MODELS, choices
from tests.topologies.test_topologies import SETTINGS

META = "meta"
ASKS = "gacomm"


class OneDevice(TorchDispatchMode):
    """Refuses operations on tensors of two devices, bare numbers apart: on `meta` torch lets some of them pass."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = [leaf for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, Tensor) and leaf.dim()]
        devices = sorted({leaf.device.type for leaf in found})
        if len(devices) > 1 and "copy" not in str(func):
            raise RuntimeError(f"{func} mixes tensors of {' and '.join(devices)}")
        return func(*args, **(kwargs or {}))


@pytest.fixture(autouse=True)
def _unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a reset and after the first step numbers are looked at, and once a minibatch who is there at all."""
    monkeypatch.setattr("heliograph.envs.base.check_view", lambda *_, **__: None)
    monkeypatch.setattr("heliograph.rollouts.sampler.check_view", lambda *_, **__: None)
    monkeypatch.setattr("heliograph.team.unroll.presence_in", _everyone)


def _everyone(rollout: Rollout, layout: Layout) -> dict[str, Participation]:
    return dict.fromkeys(layout.policies, Participation(steps=(True,) * (rollout.num_steps + 1)))


def moved(make: Callable[..., TeamEnv], *, epsilon: float | None = None, **chosen: Any) -> None:
    """Build a team, move it on `meta` as a sampler does, and send gradients back through what it did."""
    facts = facts_of(make(num_envs=2))
    team = build_team(choices(facts, **chosen), facts, seed=0).to(META)
    sampler = Sampler(make(num_envs=4, device=META), team, epsilon=epsilon)
    sampler.reset()
    with OneDevice():
        for choice, form in itertools.product(Choice, MessageForm):
            record = Record(sampler._now[1], lengths=sampler._lengths)
            for _ in range(2):
                sampler._move(record, choice=choice, form=form, intervention=None)
        record._cut = lambda: False
        rollout = record.finish(*sampler._now, static=False)
        scores = team.unroll(rollout).scores
        if any(p.requires_grad for p in team.parameters()):
            (scores.action_log_prob + scores.message_log_prob + scores.action_entropy).sum().backward()


@pytest.mark.parametrize("env", [*EACH_ENV, *VARIANTS])
def test_environments_ask_nothing(env: str) -> None:
    moved(EACH_ENV[env]() if env in EACH_ENV else VARIANTS[env], model="silent", channel="none")


@pytest.mark.parametrize("model", [name for name in MODELS if name != ASKS])
def test_models_ask_nothing(model: str) -> None:
    moved(ENVS["mixed"], model=MODELS[model], channel="continuous-pathwise")


@pytest.mark.parametrize("channel", CHANNELS)
def test_channels_ask_nothing(channel: str) -> None:
    moved(ENVS["speaker_listener"], channel=channel)


@pytest.mark.parametrize("topology", registry.names("topology"))
def test_topologies_ask_nothing(topology: str) -> None:
    own = {"mask": [[True] * 6] * 6} if topology == "given" else SETTINGS.get(topology, {})
    junction = functools.partial(TrafficJunction, cars=6)
    moved(junction, model="commnet", channel="continuous-pathwise", topology=topology, topology_settings=own)


@pytest.mark.parametrize("channel", ["dru", "symbols-score"])
def test_exploring_by_epsilon_asks_nothing(channel: str) -> None:
    moved(ENVS["switch_riddle"], channel=channel, epsilon=0.1)


def test_policies_across_slots_ask_nothing() -> None:
    odd, even = PolicyChoice(agents=("predator_0", "predator_2")), PolicyChoice(agents=("predator_1",))
    moved(PredatorPrey, channel="continuous-pathwise", policies={"odd": odd, "even": even})


def test_that_the_device_is_asked_would_show() -> None:
    with pytest.raises((RuntimeError, NotImplementedError), match="meta"):
        moved(ENVS["mixed"], model=ASKS, channel="continuous-pathwise")


def test_that_devices_are_mixed_would_show() -> None:
    row, mode = torch.ones(3), OneDevice()
    with mode, pytest.raises(RuntimeError, match=r"mixes tensors of cpu and meta"):
        row.gather(0, torch.zeros(2, dtype=torch.long, device=META))
