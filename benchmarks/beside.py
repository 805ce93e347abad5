"""Environments of `worlds.py`: their own test, an adapted copy beside a raw one, and two iterations of PPO.

    python benchmarks/beside.py "mpe2 simple_spread_v3" ["mpe2 simple_crypto_v3" ...]

prints a line of JSON for each. The raw copy is reset with the seed that the adapter drew and gets the actions that the
adapted copy got; what agents see, are paid, may do, and when they end must then be equal in every step.
"""

import argparse
import contextlib
import copy
import io
import json
import math
import multiprocessing
import random
import time
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from rawplay import Pay, RawStep, counted, raw_play
from worlds import WORLDS, World

from heliograph.adapters.recognise import Interface, interface_of
from heliograph.envs.base import TeamEnv
from heliograph.experiments.choices import build_env
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.testing import random_actions
from heliograph.types import TeamStep

MOST = {"steps": 3_000, "ends": 3}
MOST_OF_GAMES = {"steps": 1_000_000, "ends": 500}
"""How far the two copies are compared; the games of OpenSpiel are short, and their raw copies cheap."""
COMPARING_SECONDS = 120
"""Of the processor's time, after which no further step is compared."""
SECONDS = 600
TRAINING = {"train_batch_size_per_learner": 64, "minibatch_size": 32, "num_epochs": 1}


def attempt(what: Callable[[], str]) -> dict[str, Any]:
    """Whether something works, and what it tells, or why it does not."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            return {"works": True, "told": what()}
    except Exception as error:
        words = str(error) or traceback.extract_tb(error.__traceback__)[-1].line
        return {"works": False, "told": f"{type(error).__name__}: {words}"[:300]}


def own_test(world: World) -> str:
    """The test that the interface's own package ships."""
    env = world.make()
    kind = interface_of(env)
    if kind is Interface.PETTINGZOO:
        from pettingzoo import ParallelEnv
        from pettingzoo.test import api_test, parallel_api_test

        is_parallel = isinstance(env, ParallelEnv)
        parallel_api_test(env, 60) if is_parallel else api_test(env, 60)
        return "parallel_api_test" if is_parallel else "api_test"
    if kind is Interface.RLLIB:
        from ray.rllib.utils.pre_checks.env import check_multiagent_environments

        check_multiagent_environments(env)
        return "check_multiagent_environments"
    return "none"


def config_of(world: World) -> CommPPOConfig:
    """As a user would write it."""

    def make(config: Any) -> Any:
        return world.make(num_envs=config["num_envs"]) if world.group == "vmas" else world.make()

    return (
        CommPPOConfig()
        .environment(make, env_config=dict(world.settings))
        .communication(model="cnet", model_settings={"size": 16}, channel="dru", channel_settings={"bits": 2})
        .env_runners(num_envs_per_env_runner=1)
        .training(**TRAINING)
        .debugging(seed=0)
    )


def beside(world: World, *, steps: int, ends: int) -> str:
    """How many steps and episodes of an adapted copy are those of a raw one; raises where one is not."""
    env = build_env(config_of(world).env_choice(), num_envs=1)
    raw = raw_play(world.make(), world.settings)
    received = recorded(env)
    generator = torch.Generator().manual_seed(0)
    seeds = copied(env.start_generator)
    step, shown = paired(env.reset, lambda: raw.reset(next_seed(seeds)))
    spaces_of, pay = getattr(raw, "spaces", {}), Pay(shown)
    compare(env, step, shown, spaces_of, ended=False)
    moved = ended = 0
    until = time.process_time() + COMPARING_SECONDS
    while moved < steps and ended < ends and time.process_time() < until:
        seeds = copied(env.start_generator)
        actions = random_actions(env, step=step, generator=generator)
        step, (shown, begun) = paired(
            lambda chosen=actions: env.step(chosen), lambda at=seeds: played(raw, received, env, next_seed(at))
        )
        moved += 1
        if bool(step.episode_over) != shown.over:
            raise AssertionError(f"step {moved}: over is {bool(step.episode_over)}, raw {shown.over}")
        compare(env, step, shown, spaces_of, ended=shown.over, paid=pay.told(shown))
        if shown.over:
            ended, pay = ended + 1, Pay(begun)
            compare(env, step, begun, spaces_of, ended=False)
    env.close()
    return f"{moved} steps, {ended} ends"


def played(raw: Any, received: list[Any], env: TeamEnv, seed: int) -> tuple[RawStep, RawStep | None]:
    """The step of the raw copy, and, where its episode is over, how the next one begins."""
    shown = raw.step(received[-1], env)
    return shown, raw.reset(seed) if shown.over else None


def paired(adapted: Callable[[], Any], raw: Callable[[], Any]) -> tuple[Any, Any]:
    """What both give, from the same states of Python's, NumPy's and PyTorch's global random streams."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    first = adapted()
    random.setstate(states[0])
    np.random.set_state(states[1])
    torch.set_rng_state(states[2])
    return first, raw()


def seeded(world: World) -> str:
    """Whether six resets with one seed show the same."""
    raw = raw_play(world.make(), world.settings)
    first, *others = (raw.reset(5).observations for _ in range(6))
    for again in others:
        if list(again) != list(first):
            raise AssertionError(f"resets with one seed show what {list(first)} see, and what {list(again)} see")
        for agent, seen in first.items():
            same(f"resets with one seed, {agent}", flat(seen), flat(again[agent]))
    return "equal"


def copied(generator: torch.Generator) -> torch.Generator:
    twin = torch.Generator()
    twin.set_state(generator.get_state())
    return twin


def next_seed(generator: torch.Generator) -> int:
    """The seed that an adapter draws for its first copy."""
    return int(torch.randint(2**31 - 1, (1,), generator=generator))


def recorded(env: TeamEnv) -> list[Any]:
    """What the adapted copy is sent from now on."""
    received: list[Any] = []
    inner = getattr(env, "envs", [getattr(env, "env", None)])[0]
    name = "move" if hasattr(inner, "move") and hasattr(inner, "saved") else "step"
    original = getattr(inner, name)

    def step(actions: Any) -> Any:
        if actions is not None:
            received.append(copy.deepcopy(actions))
        return original(actions)

    setattr(inner, name, step)
    return received


def compare(
    env: TeamEnv,
    step: TeamStep,
    shown: RawStep,
    spaces_of: dict[str, Any],
    *,
    ended: bool,
    paid: dict[str, float] | None = None,
) -> None:
    """Raise AssertionError where a step of the adapted copy is not that of the raw one (pay and ends if `paid`)."""
    seen = step.final_observations if ended else step.observations
    strangers = (set(shown.asked) | set(shown.observations)) - set(env.agents)
    blind = set(shown.asked) - set(shown.observations)
    if strangers or blind:
        raise AssertionError(f"raw agents that are none of the adapted: {strangers}; that act unseeing: {blind}")
    for number, (agent, role) in enumerate((agent, r) for r in env.roles for agent in r.agents):
        place = role.agents.index(agent)
        if agent in shown.observations and (ended or agent in shown.asked):
            raw = counted(spaces_of.get(agent), shown.observations[agent])
            same(f"observation of {agent}", flat(pick(seen[role.name], place)), flat(raw))
        if not ended and bool(step.acting[0, number]) != (agent in shown.asked):
            raise AssertionError(f"acting of {agent}: {bool(step.acting[0, number])}, raw {agent in shown.asked}")
        if not ended and agent in shown.masks and agent in shown.asked:
            same(f"mask of {agent}", flat(step.action_mask[role.name][0, place]), flat(shown.masks[agent]))
        if paid is not None:
            same(f"reward of {agent}", flat(step.rewards[0, number]), flat(paid.get(agent, 0.0)))
            for what, who in (("terminated", shown.terminated), ("truncated", shown.truncated)):
                told = bool(getattr(step, what)[0, number])
                if told != (agent in who) and agent in {*shown.terminated, *shown.truncated}:
                    raise AssertionError(f"{what} of {agent}: {told}, raw {agent in who}")


def pick(tree: Any, place: int) -> Any:
    return {key: pick(part, place) for key, part in tree.items()} if isinstance(tree, dict) else tree[0, place]


def flat(value: Any) -> np.ndarray:
    """All numbers of a value in one row, sorted: what they are, whatever the order of axes."""
    if isinstance(value, dict):
        parts = [flat(part) for part in value.values()]
    elif isinstance(value, (tuple, list)) and not all(map(np.isscalar, value)):
        parts = [flat(part) for part in value]
    else:
        parts = [np.ravel(np.asarray(value, np.float64))]
    return np.sort(np.concatenate(parts))


def same(what: str, adapted: np.ndarray, raw: np.ndarray) -> None:
    if adapted.shape != raw.shape or not np.allclose(adapted, raw, rtol=1e-5, atol=1e-5):
        raise AssertionError(f"{what}: {adapted[-4:]}, raw {raw[-4:]}")


def trains(world: World) -> str:
    """Two iterations of PPO with a channel, whose loss is finite."""
    trainer = LocalTrainer(config_of(world))
    losses = [trainer.train().learner["total_loss"] for _ in range(2)]
    trainer.stop()
    if not all(map(math.isfinite, losses)):
        raise AssertionError(f"losses {losses}")
    return "2 iterations"


def found_of(world: World) -> dict[str, Any]:
    """All that is tried, as plain data."""
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    found: dict[str, Any] = {"made": attempt(lambda: interface_of(world.make()).value)}
    if found["made"]["works"]:
        most = MOST_OF_GAMES if world.group == "open_spiel" else MOST
        found |= {"own_test": attempt(lambda: own_test(world)), "same": attempt(lambda: beside(world, **most))}
        found |= {"seeded": attempt(lambda: seeded(world)), "trains": attempt(lambda: trains(world))}
    return found


def in_a_child(name: str) -> dict[str, Any]:
    """The same in a process of its own, which has the imports of this one already."""
    context = multiprocessing.get_context("fork")
    here, there = context.Pipe(duplex=False)
    child = context.Process(target=lambda: there.send(found_of(WORLDS[name])))
    child.start()
    there.close()
    try:
        return here.recv() if here.poll(SECONDS) else _gone(f"took longer than {SECONDS} seconds")
    except EOFError:
        child.join()
        return _gone(f"the process ended with exit code {child.exitcode}")
    finally:
        child.kill()


def _gone(told: str) -> dict[str, Any]:
    return {"made": {"works": False, "told": told}}


def main() -> None:
    """Print what is found of each world as a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("worlds", nargs="+", choices=list(WORLDS), metavar="WORLD")
    for name in parser.parse_args().worlds:
        print(json.dumps({"world": name, **in_a_child(name)}), flush=True)


if __name__ == "__main__":
    main()
