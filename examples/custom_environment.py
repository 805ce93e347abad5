"""An environment of one's own, trained through Heliograph's PPO without starting Ray.

This example
------------
writes a whole environment: a keeper sees which berth of a harbour is free, two boats do not, and each must steer
there. An environment is a state of tensors and one class with three hooks over `B` copies at once; resets, time limits,
seeds and saved state come from the base class, and messages need no code at all. `check_env` holds it to its promises.
A class trains like a name: `CommPPOConfig().environment(Harbour)`.

How to run
----------
    python examples/custom_environment.py --iterations 20

With remote env runners, Tune and checkpoints, use the same configuration as `config(...).build_algo()`.

Results to expect
-----------------
Boats that hear nothing get 0.25 (one berth of four); within 20 iterations the team gets above 0.9 (about 20 seconds).
"""

import argparse
import dataclasses

import torch
import torch.nn.functional as F
from gymnasium import spaces
from torch import Tensor

from heliograph import (
    BaseSettings,
    Bounds,
    CommPPOConfig,
    EnvState,
    LocalTrainer,
    Outcome,
    Role,
    TeamEnv,
    View,
    check_env,
)
from heliograph.envs.base import Unpack


@dataclasses.dataclass(frozen=True, kw_only=True)
class HarbourState(EnvState):
    """The free berth and the step of each copy `[B]`."""

    free: Tensor
    time: Tensor


class Harbour(TeamEnv[HarbourState]):
    """A keeper sees the free one of `berths` berths and speaks; a step later two boats steer, for 1 each if right."""

    def __init__(self, *, berths: int = 4, **base: Unpack[BaseSettings]):
        if berths < 2:
            raise ValueError(f"berths={berths}: needs at least 2")
        self.berths = berths
        lamp, sea = spaces.Box(0.0, 1.0, (berths,)), spaces.Box(0.0, 1.0, (1,))
        steer = spaces.Discrete(berths)
        keeper = Role(name="keeper", agents=("keeper_0",), observation_space=lamp, action_space=spaces.Discrete(1))
        boats = Role(name="boat", agents=("boat_0", "boat_1"), observation_space=sea, action_space=steer)
        super().__init__((keeper, boats), **base)

    @property
    def horizon(self) -> int:
        """One step to speak and one to steer, after the talking."""
        return 2 + self.talk_steps

    def bounds(self) -> Bounds:
        """The mean over three agents: the keeper is paid what the boats get on average."""
        return Bounds(random=1 / self.berths, blind=1 / self.berths, full_information=1.0, source="exact")

    def oracle(self, state: HarbourState) -> dict[str, Tensor]:
        """Steer for the free berth."""
        return {"keeper": torch.zeros_like(state.free)[:, None], "boat": state.free[:, None].expand(-1, 2)}

    def start(self) -> HarbourState:
        """A berth is free."""
        free = torch.randint(self.berths, (self.num_envs,), generator=self.start_generator, device=self.device)
        return HarbourState(free=free, time=torch.zeros_like(free))

    def advance(self, state: HarbourState, actions: dict[str, Tensor]) -> tuple[HarbourState, Outcome]:
        """Pay in the second step."""
        steering = state.time == 1
        safe = ((actions["boat"] == state.free[:, None]) & steering[:, None]).float()
        rewards = torch.cat([safe.mean(1, keepdim=True), safe], 1)
        outcome = Outcome(
            rewards=rewards,
            terminated=steering[:, None].expand(-1, 3),
            episode_over=steering,
            info={"success": safe.all(1)},
        )
        return dataclasses.replace(state, time=state.time + 1), outcome

    def observe(self, state: HarbourState) -> View:
        """Show the keeper the free berth, and the boats whether it is their turn."""
        steering = (state.time == 1)[:, None]
        boats = torch.tensor([[False, True, True]], device=self.device)
        lamp = F.one_hot(state.free, self.berths).float()[:, None]
        sea = steering.float()[:, None].expand(-1, 2, 1)
        known = torch.where(boats, -1, state.free[:, None])
        return View(
            observations={"keeper": lamp, "boat": sea},
            observing=steering == boats,
            acting=steering & boats,
            speaking=~steering & ~boats,
            meaning=known[..., None],
        )


def config(seed: int = 0) -> CommPPOConfig:
    """PPO on the harbour; with two bits for four berths, two berths often come to share a word."""
    return (
        CommPPOConfig()
        .environment(Harbour, env_config={"berths": 4})
        .communication(model="feedforward", channel="dru", channel_settings={"bits": 3})
        .training(lr=0.005, train_batch_size_per_learner=1024, minibatch_size=512)
        .debugging(seed=seed)
    )


def main(iterations: int = 20) -> list[float]:
    """Check the environment, train, and return the mean return of every iteration."""
    check_env(Harbour)
    trainer = LocalTrainer(config())
    returns = []
    for iteration in range(iterations):
        returns.append(trainer.train().env_runner["episode_return_mean"])
        print(f"iteration {iteration + 1}: mean return {returns[-1]:.2f}")
    return returns


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An environment of one's own.")
    parser.add_argument("--iterations", type=int, default=20)
    main(parser.parse_args().iterations)
