"""Worker processes: the same episodes, the same words where something is wrong, and no process is left behind."""

import contextlib
import functools
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from ray.rllib.env.multi_agent_env import MultiAgentEnv

from heliograph.adapters.numbering import first_copy, numbered_from, shares
from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.adapters.shared import Memory, leaves, mapped, rows, stackable_form, write
from heliograph.adapters.workers import WorkedEnv
from heliograph.envs.base import TeamEnv, View
from heliograph.envs.checking import EnvError, tried
from heliograph.experiments.choices import build_env
from heliograph.rllib import environments
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.types import Edges, TeamStep, tensors_of
from tests.adapters.test_three_ways import by_command_line
from tests.adapters.troubled import Deed, Trouble, Troubled, others, place, walked, whole

COPIES = 3
SETTINGS: dict[str, Any] = {
    "num_envs": COPIES, "seed": 4, "time_limit": 6, "talk_steps": 1, "success_fn": walked, "state": whole,
    "positions": place, "hearing": others, "adjacency": others, "speaking": lambda agent: agent != "helper_0",
}  # fmt: skip


@pytest.fixture(scope="module")
def note(tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return tmp_path_factory.mktemp("workers") / "closed.txt"


@pytest.fixture(scope="module")
def pool(note: pathlib.Path) -> Iterator[TeamEnv]:
    """Three copies in two processes: copy 0 in the first, copies 1 and 2 in the second."""
    env = FromPettingZoo(functools.partial(Troubled, str(note)), num_workers=2, **SETTINGS)
    yield env
    env.close()


@pytest.fixture(scope="module")
def alone() -> TeamEnv:
    return FromPettingZoo(Troubled, **SETTINGS)


def deeds(**given: Deed) -> dict[str, torch.Tensor]:
    """Actions of the walkers of all copies; `copy_1=` is what the second walker of that copy does."""
    walkers = torch.zeros(COPIES, 2, dtype=torch.long)
    for name, deed in given.items():
        walkers[int(name.removeprefix("copy_")), 1] = deed
    return {"walker": walkers, "helper": torch.full((COPIES, 1, 2), 0.25)}


def played(env: TeamEnv, *, seed: int, steps: int = 30) -> list[TeamStep]:
    env.seed(seed)
    found, generator = [env.reset()], torch.Generator().manual_seed(seed)
    for _ in range(steps):
        helper = torch.rand(COPIES, 1, 2, generator=generator) * 4 - 2
        found.append(env.step({**deeds(), "helper": helper}))
        found.append(env.view())
    return found


def assert_alike(some: list[TeamStep], others: list[TeamStep], *, had_one_past: bool = True) -> None:
    for one, other in zip(some, others, strict=True):
        assert stackable_form(one) == stackable_form(other)
        if not had_one_past:  # the place of an absent agent is where it was last, in whichever episode
            one.positions = other.positions
        assert all(map(torch.equal, tensors_of(one), tensors_of(other)))


def raised(env: TeamEnv, **given: Deed) -> Exception:
    env.seed(4)
    env.reset()
    env.step(deeds())  # all talk
    env.step(deeds())
    with pytest.raises(Exception) as found:
        env.step(deeds(**given))
    return found.value


@pytest.mark.parametrize("seed", [0, 5])
def test_episodes_are_those_of_one_process(pool: TeamEnv, alone: TeamEnv, seed: int) -> None:
    steps = played(alone, seed=seed)
    assert sum(int(step.episode_over.sum()) for step in steps) > 10
    assert any(step.final_observations is not None for step in steps)
    assert_alike(played(pool, seed=seed), steps)


def test_it_is_what_the_adapter_is(pool: Any, alone: Any) -> None:
    assert isinstance(pool, WorkedEnv) and (pool.num_workers, len(set(pool.process_ids) | {os.getpid()})) == (2, 3)
    for name in ("roles", "agents", "agent_ids", "role_rule", "resumable", "counts_absent", "horizon", "num_envs"):
        assert getattr(pool, name) == getattr(alone, name), name
    assert pool.described_spaces() == alone.described_spaces()
    assert pool.heeds_seed() and alone.heeds_seed()
    with pytest.raises(RuntimeError, match="cannot save its state"):
        pool.get_state()


@pytest.mark.parametrize("deed", [Deed.RAISE, Deed.SHOW_NAN, Deed.EXIT])
def test_faults_are_told_as_in_one_process(pool: TeamEnv, alone: TeamEnv, deed: Deed) -> None:
    here, there = raised(alone, copy_2=deed), raised(pool, copy_2=deed)
    assert type(there) is type(here) and str(there) == str(here)
    *notes, trace = there.__notes__
    assert notes == getattr(here, "__notes__", [])
    assert "copy 2" in str([str(there), *notes]) and "step 2" in str([str(there), *notes])
    assert trace.startswith("in a worker process") and "Traceback" in trace
    assert_alike(played(pool, seed=1, steps=3), played(alone, seed=1, steps=3), had_one_past=False)  # it can go on


def test_before_training_the_place_is_that_in_the_worker(pool: TeamEnv, alone: TeamEnv) -> None:
    told = []
    for env in (alone, pool):
        with pytest.raises(EnvError) as found, tried("somewhere"):
            raise raised(env, copy_1=Deed.RAISE)
        told.append(str(found.value))
    assert told[0] == told[1] and "(in step() of Troubled, copy 1" in told[0] and "troubled.py, line" in told[0]


def test_the_first_copy_in_trouble_is_told_of(pool: TeamEnv) -> None:
    assert "copy 0" in str(raised(pool, copy_0=Deed.SHOW_NAN, copy_2=Deed.RAISE))
    assert isinstance(raised(pool, copy_0=Deed.NOTHING, copy_2=Deed.RAISE), Trouble)


def test_what_cannot_be_sent_is_told_in_words(pool: TeamEnv) -> None:
    error = raised(pool, copy_1=Deed.RAISE_STRANGE)
    assert type(error) is EnvError and "Unsendable: held by a lock (in step() of Troubled, copy 1" in str(error)


def test_warnings_come_here(pool: TeamEnv) -> None:
    pool.reset()
    pool.step(deeds())
    with pytest.warns(UserWarning, match="walker_1 is careless"):
        pool.step(deeds(copy_2=Deed.WARN))


def test_actions_may_change_their_dtype(pool: TeamEnv, alone: TeamEnv) -> None:
    shown = []
    for env in (pool, alone):
        env.seed(2)
        env.reset()
        env.step(deeds())
        fine = {**deeds(), "helper": torch.full((COPIES, 1, 2), 1 / 3, dtype=torch.float64)}
        shown.append([env.step(fine) for _ in range(4)])
    assert_alike(*shown, had_one_past=False)


def test_nothing_that_was_shown_changes_later(pool: TeamEnv) -> None:
    steps = [pool.reset(), pool.step(deeds())]
    before = [[leaf.clone() for leaf in tensors_of(step)] for step in steps]
    for _ in range(3):
        pool.step(deeds())
    for step, leafs in zip(steps, before, strict=True):
        assert all(map(torch.equal, tensors_of(step), leafs))


def _interrupt_when_hanging(note: pathlib.Path) -> None:
    if comes_true(note.exists):
        time.sleep(0.05)  # a signal that meets the main thread on its way into a call of the system is heard after it
        os.kill(os.getpid(), signal.SIGINT)


def test_a_hanging_step_is_broken_off_and_processes_end(
    pool: TeamEnv, note: pathlib.Path, heard_interrupts: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And each copy of a process that is free is closed; this ends the pool, so it is the last to use it."""
    monkeypatch.setattr("heliograph.adapters.worker.GRACE_SECONDS", 0.3)
    pool.reset()
    pool.step(deeds())
    threading.Thread(target=_interrupt_when_hanging, args=(note,), daemon=True).start()
    with pytest.raises(KeyboardInterrupt):
        pool.step(deeds(copy_0=Deed.HANG))
    ids: list[int] = pool.process_ids  # type: ignore[attr-defined]
    pool.close()
    assert not any(map(runs, ids))
    pool.close()
    with pytest.raises(EnvError, match="was closed"):
        pool.reset()
    hanging, *closed = note.read_text().splitlines()
    assert hanging.startswith("hanging") and len(closed) == 2 and len(set(closed)) == 1
    assert closed[0].startswith("closed") and closed[0].split()[1] != hanging.split()[1]


def runs(pid: int) -> bool:
    """Whether a process is there and not a dead one that nobody has asked after."""
    try:
        return pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def test_a_process_that_dies_is_an_error_with_its_copies_and_signal() -> None:
    env: Any = FromPettingZoo(functools.partial(Troubled, masked=True), num_workers=2, num_envs=COPIES, seed=4)
    one = FromPettingZoo(functools.partial(Troubled, masked=True), num_envs=COPIES, seed=4)
    words = []
    for each in (env, one):
        with pytest.raises(EnvError, match="masks_in_infos=True, but the info of no agent") as found:
            each.reset()  # masks in some copies: that they are read is decided for all
        words.append(str(found.value))
    assert words[0] == words[1]
    with contextlib.suppress(EnvError):
        env.reset()
    os.kill(env.process_ids[1], signal.SIGKILL)
    with pytest.raises(EnvError, match=r"worker process of copies 1 to 2 of .* was ended by SIGKILL"):
        env.reset()
    with contextlib.suppress(EnvError):
        env.close()
    assert not any(map(runs, env.process_ids))


def comes_true(what: Callable[[], bool]) -> bool:
    end = time.monotonic() + 20
    while not what() and time.monotonic() < end:
        time.sleep(0.05)
    return what()


SCRIPT = """
import sys, torch
sys.path.insert(0, {root!r})
from tests.adapters.troubled import Deed, Troubled
from heliograph.adapters.pettingzoo import FromPettingZoo


class Mine(Troubled):
    "Known to this script alone, which has no guard of `__main__`."


env = FromPettingZoo(lambda: Mine({note!r}), num_envs=2, num_workers=2)
env.reset()
print(*env.process_ids, flush=True)
env.step({{"walker": torch.tensor([[0, 0], [0, int(Deed.HANG)]]), "helper": torch.zeros(2, 1, 2)}})
"""


def test_processes_end_with_the_one_that_made_them(tmp_path: pathlib.Path) -> None:
    note, script = tmp_path / "closed.txt", tmp_path / "script.py"
    root = pathlib.Path(__file__).parents[2]
    script.write_text(SCRIPT.format(root=str(root), note=str(note)))
    parent = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, text=True)
    with parent:
        assert parent.stdout is not None
        ids = [int(word) for word in parent.stdout.readline().split()]
        assert len(ids) == 2 and all(map(runs, ids))
        assert comes_true(lambda: note.exists() and note.read_text() == f"hanging {ids[1]}\n")
        parent.kill()
    assert comes_true(lambda: not any(map(runs, ids)))
    assert note.read_text() == f"hanging {ids[1]}\nclosed {ids[0]}\n"


@pytest.mark.parametrize("value", [-1, 1.5, "two", True, None])
def test_a_number_of_workers_is_a_whole_number(value: Any) -> None:
    with pytest.raises(ValueError, match=rf"num_workers={value!r}: must be a whole number, 0 for no worker"):
        FromPettingZoo(Troubled, num_envs=2, num_workers=value)


@pytest.mark.parametrize(
    ("make", "settings", "told"),
    [
        (functools.partial(Troubled, threading.Lock()), {}, "num_workers: the environment"),
        (Troubled, {"speaking": threading.Lock().acquire}, "num_workers: speaking="),
    ],
)
def test_what_cannot_travel_is_refused_with_what_to_do(make: Any, settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=rf"{told} .* cannot be sent to a worker .*hand in a function that makes"):
        FromPettingZoo(make, num_envs=2, num_workers=2, **settings)


def test_a_single_copy_stays_here() -> None:
    assert isinstance(FromPettingZoo(Troubled, num_workers=4), FromPettingZoo)


class Numbered(MultiAgentEnv):
    """Keeps the `env_config` that it is made with."""

    possible_agents = ["a_0"]  # type: ignore[assignment] # noqa: RUF012 - as RLlib has it

    def __init__(self, config: Any):
        super().__init__()
        self.config, self.agents = config, list(self.possible_agents)
        self.observation_spaces = {"a_0": Troubled().observation_space("walker_0")}
        self.action_spaces = {"a_0": Troubled().action_space("walker_0")}


def test_it_can_be_given_three_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    named = CommPPOConfig().environment(Numbered, num_workers=2).env_choice()
    in_config = CommPPOConfig().environment(Numbered, env_config={"num_workers": 2}).env_choice()
    assert named.settings == in_config.settings == by_command_line({"num_workers": 2}).settings == {"num_workers": 2}
    asked: list[Any] = []
    usual = FromPettingZoo(Troubled)
    monkeypatch.setattr(environments, "WorkedEnv", lambda *given: asked.append(given) or usual)
    assert build_env(named, num_envs=5) is usual
    ((adapt, settings),) = asked
    assert settings == {"num_workers": 2, "num_envs": 5, "seed": 0, "device": "cpu"}
    with numbered_from(3):
        env = adapt(**{**settings, "num_envs": 2, "num_workers": 0})
    assert [inner.config.vector_index for inner in env.envs] == [3, 4] and first_copy() == 0


@hypothesis.given(st.integers(1, 200), st.data())
def test_shares_are_even_and_in_order(num_envs: int, data: st.DataObject) -> None:
    number = data.draw(st.integers(1, num_envs))
    found = shares(num_envs, number)
    assert [copy for share in found for copy in share] == list(range(num_envs))
    assert len(found) == number and max(map(len, found)) - min(map(len, found)) <= 1


DTYPES = (torch.float32, torch.int64, torch.bool, torch.uint8)


@hypothesis.settings(max_examples=30, deadline=None)
@hypothesis.given(st.lists(st.tuples(st.sampled_from(DTYPES), st.lists(st.integers(0, 5), max_size=3)), max_size=5))
def test_what_one_writes_another_reads(kinds: list[tuple[torch.dtype, list[int]]]) -> None:
    trees = [{str(i): torch.ones(n, *s).to(d) for i, (d, s) in enumerate(kinds)} for n in (2, 1)]
    with open(os.memfd_create("test"), "r+b") as file:
        ends = [Memory(file.fileno()), Memory(file.fileno())]
        for _ in range(2):
            whole, part = (end.add(tree, num_rows=3) for end, tree in zip(ends, trees, strict=True))
            write(trees[0], list(leaves(rows(part, 1, 2))))
            for leaf in leaves(whole):
                assert leaf.data_ptr() % leaf.element_size() == 0
                assert leaf[0].eq(0).all() and leaf[1:].eq(1).all()


def test_structures_are_compared_and_copied_by_field() -> None:
    flags = torch.zeros(2, 3, dtype=torch.bool)
    view = View(
        observations={"a": {"x": torch.ones(2, 3, 4)}}, observing=flags, acting=flags, speaking=flags,
        meaning=torch.zeros(2, 3, 1, dtype=torch.long), hearing=Edges(senders=None, mask=torch.zeros(2, 3, 3).bool()),
    )  # fmt: skip
    assert stackable_form(view)["observations"] == {"a": {"x": "float32 [3, 4]"}}
    assert stackable_form(view)["hearing"] == {"senders": None, "mask": "bool [3, 3]"}
    assert stackable_form(view)["state"] is None
    other = mapped(view, lambda leaf: leaf.clone())
    assert type(other) is View and stackable_form(other) == stackable_form(view)
    other.observations["a"]["x"][:] = 5
    assert view.observations["a"]["x"].eq(1).all() and np.isclose(view.meaning.sum().item(), 0)
