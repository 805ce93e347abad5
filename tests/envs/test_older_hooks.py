"""Environments that were written before they had a state: they go on to work, with a warning."""

import dataclasses
import pickle
import warnings
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from gymnasium import spaces

from heliograph.envs.base import Outcome, TeamEnv, View
from heliograph.envs.identity import Identity
from heliograph.envs.older_hooks import AttributeState
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.testing import CHECKS
from heliograph.testing.play import equal, trace
from heliograph.types import Bounds, Role

with pytest.warns(DeprecationWarning, match=r"(?s)Fog(.*fills in _start, _advance, _observe|\._)"):

    class Fog(TeamEnv):
        """As in the guide of version 0.1: the state is in attributes."""

        adjustable = ("sides",)

        def __init__(self, *, sides: int = 2, **base: Any):
            self.sides, self.heard_of = sides, 0
            seen, act = spaces.Box(0.0, 1.0, (sides,)), spaces.Discrete(sides)
            roles = (
                Role(name="pilot", agents=("pilot_0",), observation_space=seen, action_space=act),
                Role(name="ship", agents=("ship_0",), observation_space=spaces.Box(0.0, 1.0, (1,)), action_space=act),
            )
            super().__init__(roles, **base)
            self._current = torch.zeros(self.num_envs, dtype=torch.long, device=self.device)
            self._time = torch.zeros_like(self._current)
            self._ways = torch.arange(sides, device=self.device)

        @property
        def horizon(self) -> int:
            return 2 + self.talk_steps

        def _start(self, starting: Any) -> None:
            current = torch.randint(self.sides, starting.shape, generator=self.start_generator, device=self.device)
            self._current = torch.where(starting, current, self._current)
            self._time = self._time.masked_fill(starting, 0)

        def _advance(self, actions: Any, moving: Any) -> Outcome:
            pilot, ship = actions["pilot"][:, 0], actions["ship"][:, 0]
            same = pilot == ship
            good = same & (pilot == self._current)
            reward = torch.where(good, 2.0, torch.where(same, 1.0, -1.0))
            reward = torch.where(self._time == 1, reward, 0.0)
            success = good & (self._time == 1)
            self._time = self._time + moving
            over = self._time >= 2
            return Outcome(
                rewards=reward[:, None].expand(-1, 2),
                terminated=over[:, None].expand(-1, 2),
                episode_over=over,
                info={"success": success},
            )

        def _observe(self) -> View:
            acting = (self._time == 1)[:, None].expand(-1, 2)
            current = F.one_hot(self._current, self.sides).float()[:, None]
            return View(
                observations={"pilot": current, "ship": (self._time == 1).float()[:, None, None]},
                observing=torch.ones_like(acting),
                acting=acting,
                speaking=~acting,
                meaning=torch.stack([self._current, torch.full_like(self._current, -1)], 1)[..., None],
            )

        def bounds(self) -> Bounds:
            chance = 1 / self.sides
            by_chance = chance * (2 * chance + 1 - chance) - (1 - chance)
            return Bounds(random=by_chance, blind=1 + chance, full_information=2.0, source="exact")

        def oracle(self) -> dict[str, torch.Tensor]:
            return {"pilot": self._current[:, None], "ship": self._current[:, None]}

        def scene(self, copy: int = 0) -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                scene = super().scene(copy)
            return dataclasses.replace(scene, caption=f"current {int(self._current[copy])}")

        def _seed(self, seed: int) -> None:
            self.heard_of = seed
            super()._seed(seed)

        def _change(self, name: str, value: Any) -> None:
            super()._change(name, int(value))

        def _extra_state(self) -> int:
            return self.sides

        def _set_extra_state(self, extra: int) -> None:
            self.sides = extra


@pytest.mark.parametrize("check", [name for name in CHECKS if name not in ("check_statistics", "check_bounds")])
def test_an_older_environment_keeps_its_promises(check: str) -> None:
    CHECKS[check](Fog)


def test_its_state_is_its_tensor_attributes() -> None:
    env = Fog(num_envs=3, seed=1)
    env.reset()
    assert set(env.state.attributes) == {"_current", "_time", "_ways"}
    current = env.state.attributes["_current"]
    other = AttributeState(attributes={**env.state.attributes, "_current": (current + 1) % 2})
    assert torch.equal(env.oracle(other)["ship"][:, 0], (current + 1) % 2)
    assert torch.equal(env.oracle(env.state)["ship"][:, 0], current)  # what was asked about is not set
    assert env.scene(other, 1).caption == f"current {int(1 - current[1])}"
    env.state = other
    assert torch.equal(env._current, (current + 1) % 2)
    moved, outcome = env.advance(other, env.oracle(other))
    assert moved.attributes["_time"].tolist() == [1, 1, 1] and outcome.rewards.tolist() == [[0, 0]] * 3
    with pytest.raises(TypeError, match="give it a state"):
        env.selected(torch.tensor([0]))


def test_its_older_states_are_read_and_its_other_hooks_called() -> None:
    env, other = Fog(num_envs=3, seed=1), Fog(num_envs=3, seed=2)
    env.reset()
    saved = env.get_state()
    extra = {"_elapsed": torch.ones(3, dtype=torch.long), "team_of_agent": env.team_of_agent}
    tensors = {"_current": env._current + 1, "_time": env._time + 1, "_ways": env._ways, **extra}
    older = {"tensors": tensors, "streams": saved["streams"], "is_reset": True, "extra": 3}
    other.set_state(pickle.loads(pickle.dumps(older)))
    assert torch.equal(other._current, env._current + 1) and other._elapsed.tolist() == [1, 1, 1]
    assert (other.sides, other.heard_of) == (3, 2)
    other.change({"sides": 5.0})
    assert other.sides == 5 and other.get_state()["extra"] == 5
    env.set_state(saved)
    assert equal(trace(Fog(num_envs=3, seed=1))[:1], [env.view()])


def test_an_older_hook_of_what_has_a_state_is_refused() -> None:
    with pytest.raises(TypeError, match=r"Louder overrides _advance \(advance now\).*has no more: see docs"):

        class Louder(SpeakerListener):
            def _advance(self, actions: Any, moving: Any) -> Outcome:
                raise NotImplementedError


def test_a_solver_that_takes_no_state_is_told_and_called() -> None:
    with pytest.warns(DeprecationWarning, match=r"Solved\.oracle is given a state now"):

        class Solved(Identity):
            def oracle(self) -> dict[str, torch.Tensor]:
                return {"agent": self.state.value.flip(1)}

    env = Solved(num_envs=2)
    env.reset()
    assert equal(env.oracle(env.state), Identity.oracle(env, env.state))


def test_a_private_method_beside_the_hook_is_nobodys_business() -> None:
    class Careful(Identity):
        def advance(self, state: Any, actions: Any) -> Any:
            return self._advance(state, actions)

        def _advance(self, state: Any, actions: Any) -> Any:
            return super().advance(state, actions)

    CHECKS["check_states"](Careful)


def test_oracle_and_scene_can_be_asked_without_a_state() -> None:
    env = SpeakerListener(num_envs=2)
    env.reset()
    with pytest.warns(DeprecationWarning, match=r"call env\.oracle\(env\.state\)"):
        assert equal(env.oracle(), env.oracle(env.state))
    with pytest.warns(DeprecationWarning, match=r"call env\.scene\(env\.state\)"):
        assert env.scene(1) == env.scene(env.state, 1)
    with pytest.warns(DeprecationWarning, match="scene"):
        assert env.scene(copy=1) == env.scene(env.state, 1)
