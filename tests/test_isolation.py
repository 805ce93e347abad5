"""User code that changes the process or ends it: everything is put back, told once, and nothing is learnt otherwise."""

import functools
import os
import pathlib
import signal
import sys
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from pettingzoo import ParallelEnv
from torch import Tensor

from heliograph import isolation
from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.envs.base import EnvError
from heliograph.envs.checking import guarded
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.choices import EnvChoice, TeamChoices, bounds_of, build_env, facts_for, opened, resolve
from heliograph.experiments.compatibility import rehearse
from heliograph.isolation import SETTINGS, isolated
from heliograph.models.cnet import CNet
from heliograph.rendering.animation import scenes_of
from heliograph.rllib.callbacks import TeamCallbacks
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rollouts.sampler import Sampler
from tests.parts import make_team

DISTURBANCES: dict[str, Callable[[], Any]] = {
    "gradients": lambda: torch.set_grad_enabled(not torch.is_grad_enabled()),
    "the default dtype": lambda: torch.set_default_dtype(torch.float64),
    "the default device": lambda: torch.set_default_device("meta"),
    "the number of threads": lambda: torch.set_num_threads(torch.get_num_threads() + 1),
    "deterministic algorithms": lambda: torch.use_deterministic_algorithms(
        not torch.are_deterministic_algorithms_enabled()
    ),
    "the working directory": lambda: os.chdir("/"),
    "NumPy's treatment of errors": lambda: np.seterr(all="raise"),
    "signal handlers": lambda: signal.signal(signal.SIGINT, lambda number, frame: None),
    "warning filters": lambda: warnings.filterwarnings("ignore", message="anything"),
}
each_disturbance = pytest.mark.parametrize("name", DISTURBANCES)


def disturb() -> None:
    for change in DISTURBANCES.values():
        change()


untold = pytest.mark.filterwarnings("ignore:.*of the whole process")


def read() -> list[Any]:
    return [setting.read() for setting in SETTINGS]


@pytest.fixture(autouse=True)
def process(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory of its own, no memory of what was told, and everything as it was when a test fails."""
    monkeypatch.chdir(tmp_path)
    isolation._told().clear()
    before = read()
    yield
    for setting, value in zip(SETTINGS, before, strict=True):
        setting.put(value)


class Disturbing(SpeakerListener):
    """Does something to the process in one of its methods, named by `where`, after its own work."""

    what: Callable[[], Any] = staticmethod(lambda: None)
    where = ""

    def __init__(self, **settings: Any):
        super().__init__(**settings)
        self._disturb("__init__")

    def _disturb(self, method: str) -> None:
        if method == self.where:
            type(self).what()


def _disturbed(name: str) -> Callable[..., Any]:
    @functools.wraps(getattr(SpeakerListener, name))
    def method(self: Any, *given: Any, **more: Any) -> Any:
        found = getattr(super(Disturbing, self), name)(*given, **more)
        self._disturb(name)
        return found

    return method


HOOKS = ("start", "advance", "observe", "pass_seed", "extra_state", "set_extra_state", "bounds", "oracle", "scene")
for hook in (*HOOKS, "close"):
    setattr(Disturbing, hook, _disturbed(hook))


def disturbing(where: str, what: Callable[[], Any]) -> type[Disturbing]:
    return type("Disturbing", (Disturbing,), {"where": where, "what": staticmethod(what)})


def live(make: Any) -> None:
    """Everything that is ever called of an environment."""
    choice = EnvChoice(env=make)
    with opened(choice, num_envs=3) as env:
        sampler = Sampler(env, make_team(env))
        sampler.asks_oracle = True
        sampler.fragment(3)
        sampler.set_state(sampler.get_state())
        rollout = sampler.episodes()
        env.seed(1)
    bounds_of(choice)
    with opened(choice, num_envs=3, seed=0) as env, guarded(env, "scene"):
        sampler = Sampler(env, make_team(env))
        rollout = sampler.episodes()
    with opened(choice, num_envs=3, seed=0) as env, guarded(env, "scene"):
        env.start_generator.manual_seed(0)
        try:
            scenes_of(env, rollout)
        except ValueError as error:
            assert "plays differently" in str(error)


@untold
@pytest.mark.parametrize("where", ["__init__", *HOOKS, "close"])
def test_whatever_an_environment_sets_is_put_back(where: str) -> None:
    before = read()
    live(disturbing(where, disturb))
    assert read() == before


@each_disturbance
def test_each_change_is_told_by_name_and_remedy(name: str) -> None:
    env = disturbing("advance", DISTURBANCES[name])(num_envs=2)
    env.reset()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        env.step(env.oracle(env.state))
    words = [str(each.message) for each in told]
    assert len(words) == (name != "warning filters")
    assert all(f"step() of Disturbing changed {name} of the whole process from " in word for word in words)
    assert all("): put back; " in word for word in words)


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Tensor]:
    return trained(SpeakerListener)


def trained(env: Any, **more: Any) -> dict[str, Tensor]:
    """The weights after three updates."""
    config = (
        CommPPOConfig()
        .environment(env)
        .communication(model=more.pop("model", "cnet"), model_settings={"size": 8}, channel="dru")
        .env_runners(num_envs_per_env_runner=16)
        .training(train_batch_size_per_learner=64, minibatch_size=32)
        .callbacks(**more)
        .debugging(seed=0)
    )
    trainer = LocalTrainer(config)
    for _ in range(3):
        trainer.train()
    trainer.stop()
    return {key: value.clone() for key, value in trainer.team.state_dict().items()}


@untold
@pytest.mark.parametrize("what", [DISTURBANCES["gradients"], disturb], ids=["gradients", "all"])
@pytest.mark.parametrize("where", ["__init__", "advance"])
def test_it_changes_no_weight(where: str, what: Callable[[], Any], undisturbed: dict[str, Tensor]) -> None:
    found = trained(disturbing(where, what))
    assert all(torch.equal(found[key], value) for key, value in undisturbed.items())


@untold
def test_gradients_that_were_left_off_by_an_import_train(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, undisturbed: dict[str, Tensor]
) -> None:
    lines = (
        "import torch",
        "from heliograph.envs.speaker_listener import SpeakerListener",
        "torch.set_grad_enabled(False)",
        "class Same(SpeakerListener): pass",
    )
    (tmp_path / "left_off.py").write_text("\n".join(lines))
    monkeypatch.syspath_prepend(str(tmp_path))
    found = trained("left_off:Same")
    assert "left_off" in sys.modules and torch.is_grad_enabled()
    assert all(torch.equal(found[key], value) for key, value in undisturbed.items())


class OffAfterwards(TeamCallbacks):
    def on_sample_end(self, **given: Any) -> None:
        torch.set_grad_enabled(False)
        torch.set_default_dtype(torch.float64)


@untold
def test_callbacks_disturb_nothing_either(undisturbed: dict[str, Tensor]) -> None:
    found = trained(SpeakerListener, callbacks_class=OffAfterwards)
    assert all(torch.equal(found[key], value) for key, value in undisturbed.items())


class Wide(CNet):
    """A model that changes the process when it is made, and when it acts."""

    def __init__(self, *given: Any, **settings: Any):
        super().__init__(*given, **settings)
        torch.set_num_threads(2)

    def act(self, hidden: Tensor) -> Tensor:
        np.seterr(all="raise")
        return super().act(hidden)


@untold
def test_models_disturb_nothing_while_they_are_made_and_sampled_from() -> None:
    before = read()
    team = rehearse(EnvChoice(env=SpeakerListener), TeamChoices(model=Wide, channel="dru"))
    Sampler(SpeakerListener(num_envs=2), team).episodes()
    assert read() == before


class Python(ParallelEnv):
    """One agent; `at(method)` is called in each of its methods."""

    metadata = {"name": "python"}  # noqa: RUF012 - PettingZoo's own way
    possible_agents = ["a_0"]  # noqa: RUF012

    def __init__(self, at: Callable[[str], Any]):
        self.at = at
        at("__init__")

    def observation_space(self, agent: str) -> spaces.Space:
        self.at("observation_space")
        return spaces.Box(-1, 1, (2,))

    def action_space(self, agent: str) -> spaces.Space:
        return spaces.Discrete(2)

    def reset(self, seed: int | None = None, options: dict | None = None) -> tuple:
        self.agents, self.time = ["a_0"], 0
        self.at("reset")
        return {"a_0": np.zeros(2, np.float32)}, {"a_0": {}}

    def step(self, actions: dict) -> tuple:
        self.time += 1
        self.at("step")
        over = {"a_0": self.time == 3}
        self.agents = [] if over["a_0"] else ["a_0"]
        return {"a_0": np.zeros(2, np.float32)}, {"a_0": 1.0}, over, {"a_0": False}, {"a_0": {}}

    def close(self) -> None:
        self.at("close")


@untold
@pytest.mark.parametrize("where", ["__init__", "observation_space", "reset", "step", "close"])
def test_python_environments_disturb_nothing_either(where: str) -> None:
    before = read()
    with opened(EnvChoice(env=adapted(lambda method: method == where and disturb())), num_envs=2) as env:
        Sampler(env, make_team(env, channel="none")).fragment(5)
    assert read() == before


def adapted(at: Callable[[str], Any]) -> Callable[..., FromPettingZoo]:
    return lambda **settings: FromPettingZoo(lambda: Python(at), **settings)


# ---- what is said ----------------------------------------------------------------------------------------------------


def test_a_change_is_told_once_for_each_call() -> None:
    env = disturbing("advance", DISTURBANCES["the default dtype"])(num_envs=2)
    env.reset()
    with pytest.warns(UserWarning) as told:
        env.step(env.oracle(env.state))
    (message,) = [str(each.message) for each in told]
    assert message.startswith("step() of Disturbing changed the default dtype of the whole process from torch.float32")
    assert message.endswith("(torch.set_default_dtype): put back; give dtype= where tensors are made")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        env.step(env.oracle(env.state))


def test_changes_are_put_back_where_something_is_raised_too() -> None:
    before = read()
    with pytest.raises(KeyError, match="mine"), isolated("this"):
        torch.set_grad_enabled(False)
        os.chdir("/")
        raise KeyError("mine")
    assert read() == before


def test_a_default_device_that_was_not_set_is_not_set_afterwards() -> None:
    with pytest.warns(UserWarning, match="the default device"), isolated("this"):
        torch.set_default_device("meta")
    assert torch.empty(1).device.type == "cpu" and torch.get_default_device() == torch.device("cpu")
    torch.set_default_device("meta")
    with pytest.warns(UserWarning, match="the default device"), isolated("that"):
        torch.set_default_device("cpu")
    assert torch.empty(1).device.type == "meta"


# ---- ends ------------------------------------------------------------------------------------------------------------


class Fatal(BaseException):
    """As bindings of other languages raise where they panic: no Exception."""


def leave() -> None:
    sys.exit(3)


def panic() -> None:
    raise Fatal("index out of bounds")


ENDS = {
    leave: r"sys\.exit\(3\) was called",
    panic: r"Fatal \(index out of bounds\), which would end the process, was raised",
}
each_end = pytest.mark.parametrize("end", ENDS)


@each_end
@pytest.mark.parametrize("where", ["__init__", *HOOKS, "close"])
def test_an_environment_cannot_end_the_process(where: str, end: Callable[[], Any]) -> None:
    with pytest.raises(EnvError, match=f"{ENDS[end]} in .*Disturbing"):
        live(disturbing(where, end))


@each_end
@pytest.mark.parametrize("where", ["__init__", "observation_space", "reset", "step", "close"])
def test_nor_can_a_python_environment(where: str, end: Callable[[], Any]) -> None:
    with pytest.raises(EnvError, match=ENDS[end]) as told:
        with opened(EnvChoice(env=adapted(lambda method: method == where and end())), num_envs=2) as env:
            Sampler(env, make_team(env, channel="none")).fragment(5)
    if end is leave and where in ("reset", "step", "close"):
        assert f"in {where}() of Python, copy 0" in str(told.value)


@each_end
def test_nor_can_an_import(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, end: Callable[[], Any]) -> None:
    fatal = "class Fatal(BaseException): pass\nraise Fatal('index out of bounds')"
    (tmp_path / "ending.py").write_text({leave: "import sys; sys.exit(3)", panic: fatal}[end])
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=f"env 'ending:Env' cannot be imported: {ENDS[end]} in the import of ending"):
        resolve("env", "ending:Env")


@each_end
def test_nor_can_a_model_or_a_loss(end: Callable[[], Any]) -> None:
    model = type("Ending", (CNet,), {"__init__": lambda self, spec, **settings: end()})
    with pytest.raises(ValueError, match=ENDS[end]):
        rehearse(EnvChoice(env=SpeakerListener), TeamChoices(model=model, channel="dru"))
    model = type("Ending", (CNet,), {"act": lambda self, hidden: end()})
    with pytest.raises(RuntimeError, match=f"{ENDS[end]} in sampling from the team"):
        rehearse(EnvChoice(env=SpeakerListener), TeamChoices(model=model, channel="dru"))


def test_an_interrupt_passes() -> None:
    def interrupted() -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        live(disturbing("advance", interrupted))


def test_facts_are_read_in_isolation() -> None:
    with pytest.warns(UserWarning, match="reset.. of Disturbing changed the working directory"):
        facts_for(EnvChoice(env=disturbing("start", DISTURBANCES["the working directory"])))
    assert build_env(EnvChoice(env=SpeakerListener), num_envs=1).num_agents == 2


def test_what_an_import_or_a_first_reset_raises_is_told_with_its_place(
    tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "failing.py").write_text("fog = {}\nfog['lamp']\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ValueError, match=r"'failing:Env' cannot be imported: KeyError: 'lamp' \(failing\.py, line 2\)"):
        resolve("env", "failing:Env")

    def fail() -> None:
        raise KeyError("lamp")

    told = r"KeyError: 'lamp' \(in reset\(\) of Disturbing; test_isolation\.py, line \d+\)"
    with pytest.raises(EnvError, match=told):
        facts_for(EnvChoice(env=disturbing("start", fail)))


@untold
def test_a_mapping_of_agents_disturbs_nothing() -> None:
    def mapping(agent: str, episode: Any, **more: Any) -> str:
        disturb()
        return agent.removesuffix("_0")

    before = read()
    config = CommPPOConfig().environment(SpeakerListener).communication(model="cnet", channel="dru")
    config.multi_agent(policies={"speaker", "listener"}, policy_mapping_fn=mapping).policy_mapping()
    assert read() == before
