"""Bad input is refused before training: each message names the setting, its value, and what would be right."""

import pathlib
from collections.abc import Callable
from typing import Any, ClassVar

import pytest
import torch
from gymnasium import spaces
from mpe2 import simple_reference_v3
from ray.rllib.core.rl_module.multi_rl_module import MultiRLModuleSpec
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.policy.policy import PolicySpec

from heliograph.adapters.pettingzoo import FromPettingZoo
from heliograph.analysis.corpus import load_corpus
from heliograph.cli import main
from heliograph.envs.base import EnvState, Outcome, TeamEnv, View
from heliograph.envs.identity import Identity
from heliograph.experiments.compatibility import RULES, Verdict
from heliograph.rllib.loss_choice import as_loss
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.storage.run_folder import read_run
from heliograph.types import Role


class Tiny(TeamEnv):
    """Agents that see a number and act; `endless` never ends. Class attributes decide its spaces."""

    observation: ClassVar[spaces.Space] = spaces.Box(0.0, 1.0, (2,))
    action: ClassVar[spaces.Space] = spaces.Discrete(2)
    names: ClassVar[tuple[str, ...]] = ("agent_0", "agent_1")
    endless: ClassVar[bool] = False

    def __init__(self, **settings: Any):
        role = Role(name="agent", agents=self.names, observation_space=self.observation, action_space=self.action)
        super().__init__((role,), **settings)

    @property
    def horizon(self) -> int | None:
        return None if self.endless else 1

    def start(self) -> EnvState:
        return EnvState()

    def advance(self, state: EnvState, actions: dict[str, torch.Tensor]) -> tuple[EnvState, Outcome]:
        shape = (self.num_envs, self.num_agents)
        over = torch.full((self.num_envs,), not self.endless)
        return state, Outcome(rewards=torch.zeros(shape), terminated=over[:, None].expand(shape), episode_over=over)

    def observe(self, state: EnvState) -> View:
        shape = (self.num_envs, self.num_agents)
        flags = torch.ones(shape, dtype=torch.bool)
        seen = torch.zeros(*shape, 2)
        meaning = torch.full((*shape, 1), -1)
        return View(observations={"agent": seen}, observing=flags, acting=flags, speaking=flags, meaning=meaning)


class Alone(Tiny):
    names = ("hermit",)


class Endless(Tiny):
    endless = True


@pytest.fixture(autouse=True)
def little_patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Episodes that take so long do not end."""
    monkeypatch.setattr("heliograph.experiments.compatibility.MAX_EPISODE_STEPS", 50)


class Wordy(Tiny):
    observation = spaces.Text(10)


class Paired(Tiny):
    observation = spaces.Tuple((spaces.Discrete(2), spaces.Discrete(2)))


class Linked(Tiny):
    observation = spaces.Graph(spaces.Box(0, 1, (1,)), None)


class Shelved(Tiny):
    observation = spaces.Dict(a=spaces.Dict(b=spaces.Sequence(spaces.Discrete(2))))


class Shifted(Tiny):
    action = spaces.Discrete(2, start=1)


class Binary(Tiny):
    action = spaces.MultiBinary(3)


def config(env: Any = "speaker_listener", *, settings: dict | None = None, **communication: Any) -> CommPPOConfig:
    chosen = {"model": "feedforward", "model_settings": {"size": 8}, "channel": "dru", **communication}
    return (
        CommPPOConfig()
        .environment(env, env_config=settings or {})
        .communication(**chosen)
        .env_runners(num_envs_per_env_runner=8)
        .training(train_batch_size_per_learner=64, minibatch_size=32)
        .debugging(seed=0)
    )


def policies(function: Callable[..., str], *names: str, env: Any = "identity", **more: Any) -> CommPPOConfig:
    return config(env).multi_agent(policies=set(names), policy_mapping_fn=function, **more)


def module_spec(**specs: str) -> MultiRLModuleSpec:
    return MultiRLModuleSpec(rl_module_specs={k: RLModuleSpec(load_state_path=path) for k, path in specs.items()})


def by_slot(agent: str, episode: Any) -> str:
    return "ab"[int(agent[-1])]


def train(**settings: Any) -> CommPPOConfig:
    return config().training(**settings)


def runners(**settings: Any) -> CommPPOConfig:
    return config().env_runners(**settings)


def raw_particles() -> Any:
    return simple_reference_v3.parallel_env()


SCRIPT = {"model": "scripted", "model_settings": {"function": "tests.experiments.test_bad_input:by_slot"}}
BAD: dict[str, tuple[Callable[[], Any], tuple[str, ...]]] = {
    # names
    "env": (lambda: config("speaker_listner"), ("'speaker_listner'", "did you mean 'speaker_listener'")),
    "model": (lambda: config(model="cnett"), ("'cnett'", "did you mean 'cnet'")),
    "channel": (lambda: config(channel="symbol"), ("'symbol'", "did you mean 'symbols'")),
    "wrapper": (lambda: config(channel="garble+dru"), ("'garble'", "did you mean 'garbled'")),
    "topology": (lambda: config(topology="ful"), ("'ful'", "did you mean 'full'")),
    "loss": (lambda: config(losses=["reconstruct"]), ("'reconstruct'", "did you mean 'reconstruction'")),
    "critic": (lambda: config(critic="stat"), ("critic 'stat'", "did you mean 'state'")),
    "env setting": (lambda: config(settings={"goal": 3}), ("'goal'", "did you mean 'goals'")),
    "model setting": (lambda: config(model_settings={"sise": 3}), ("'sise'", "did you mean 'size'")),
    "channel setting": (lambda: config(channel_settings={"bit": 3}), ("'bit'", "did you mean 'bits'")),
    "topology setting": (lambda: config(topology_settings={"mask": []}), ("'mask'", "topology 'full'")),
    "loss setting": (lambda: config(losses=[("reconstruction", 1.0, {"sze": 3})]), ("'sze'", "did you mean 'size'")),
    # combinations
    "one agent": (lambda: config(Alone), ("channel='dru'", "hermit", "nobody is there to hear", "channel='none'")),
    "silent on a channel": (lambda: config(model="silent"), ("model='silent'", "channel='dru'", "model='cnet'")),
    "nothing to train": (lambda: config(**SCRIPT), ("model='scripted'", "nothing to train", "another model")),
    "nobody gives": (lambda: config(topology="given"), ("topology='given'", "topology='full'", "topology.mask")),
    "signalling in vectors": (
        lambda: config(channel="continuous", losses=["positive_signalling"]),
        ("channel='continuous'", "positive_signalling", "channel='symbols'"),
    ),
    "a price nobody can avoid": (
        lambda: config(channel="noisy+dru", losses=["message_cost"]),
        ("channel='noisy+dru'", "message_cost", "teaches nobody to say less", "channel='gated+dru'"),
    ),
    "heard too late": (
        lambda: config(channel="delayed+dru", channel_settings={"steps": 2}),
        ("channel='delayed+dru'", "nothing would ever be heard", "channel.steps"),
    ),
    "neither limit": (
        lambda: config(channel="limited+dru"),
        ("max_messages=None", "max_bits=None", "one of them"),
    ),
    "too small a limit": (
        lambda: config(channel="limited+dru", channel_settings={"bits": 3, "max_bits": 2.0}),
        ("max_bits=2.0", "3 bits"),
    ),
    "flips of vectors": (
        lambda: config(channel="noisy+continuous", channel_settings={"flip": 0.1}),
        ("flip=0.1", "vectors", "heard_sigma"),
    ),
    "flips beyond 1": (lambda: config(channel="noisy+dru", channel_settings={"flip": 1.5}), ("flip=1.5", "at most 1")),
    "no delay": (lambda: config(channel="delayed+dru", channel_settings={"steps": 0}), ("steps=0", "at least 1")),
    "drop beyond 1": (lambda: config(channel="lossy+dru", channel_settings={"drop": 2.0}), ("drop=2.0", "at most 1")),
    "garbled alone": (lambda: config(channel="garbled"), ("'garbled' wraps another", "'garbled+dru'")),
    "two channels": (lambda: config(channel="dru+symbols"), ("'dru' wraps no other", "write it last")),
    "a mask of others": (
        lambda: config(topology="given", topology_settings={"mask": [[False] * 3] * 3}),
        ("mask is (3, 3)", "2 agents"),
    ),
    "a ragged mask": (
        lambda: config(topology="given", topology_settings={"mask": [[True], [True, False]]}),
        ("topology 'given'", "mask"),
    ),
    # channels and models
    "one symbol": (
        lambda: config(channel="symbols", channel_settings={"vocabulary": 1}),
        ("vocabulary=1", "at least 2"),
    ),
    "no bits": (lambda: config(channel_settings={"bits": 0}), ("bits=0", "at least 1")),
    "sigma below 0": (lambda: config(channel_settings={"sigma": -1.0}), ("sigma=-1.0", "at least 0")),
    "sigma nan": (lambda: config(channel_settings={"sigma": float("nan")}), ("sigma=nan", "finite number")),
    "sigma in words": (lambda: config(channel_settings={"sigma": "high"}), ("sigma='high'", "finite number")),
    "cold symbols": (
        lambda: config(channel="symbols", channel_settings={"gradient": "gumbel", "temperature": 0.0}),
        ("temperature=0.0", "above 0"),
    ),
    "no such gradient": (
        lambda: config(channel="symbols", channel_settings={"gradient": "reinforce"}),
        ("gradient='reinforce'", "'gumbel'"),
    ),
    "a flag in words": (
        lambda: config(model="cnet", model_settings={"own_message": "no"}),
        ("own_message='no'", "true or false"),
    ),
    "no such norm": (
        lambda: config(model="cnet", model_settings={"message_norm": "no"}),
        ("message_norm='no'", "'by_step'"),
    ),
    "size 0": (lambda: config(model_settings={"size": 0}), ("size=0", "at least 1")),
    # environments
    "one goal": (lambda: config(settings={"goals": 1}), ("goals=1", "at least 2")),
    "half a goal": (lambda: config(settings={"goals": 2.5}), ("goals=2.5", "whole number")),
    "no rounds": (lambda: config(settings={"rounds": 0}), ("rounds=0", "at least 1")),
    "one prisoner": (lambda: config("switch_riddle", settings={"prisoners": 1}), ("prisoners=1", "at least 2")),
    "talk_steps": (lambda: config(settings={"talk_steps": -1}), ("talk_steps=-1", "at least 1")),
    "time_limit": (lambda: config(settings={"time_limit": 0}), ("time_limit=0", "at least 1")),
    "num_envs": (lambda: config(settings={"num_envs": 3}), ("num_envs=3", "num_envs_per_env_runner")),
    "seed of the env": (lambda: config(settings={"seed": 3}), ("seed=3", "seed of the run")),
    "text": (lambda: config(Wordy), ("role 'agent'", "Text", "must be Box")),
    "tuple": (lambda: config(Paired), ("role 'agent'", "Tuple", "must be Box")),
    "graph": (lambda: config(Linked), ("role 'agent'", "Graph", "must be Box")),
    "dict of sequences": (lambda: config(Shelved), ("role 'agent'", "Sequence", "must be Box")),
    "actions from 1": (lambda: config(Shifted), ("Discrete(2, start=1)", "must start at 0")),
    "binary actions": (lambda: config(Binary), ("MultiBinary(3)", "use Discrete, MultiDiscrete or Box")),
    "endless": (lambda: config(Endless), ("Endless", "time_limit")),
    "no environment": (lambda: config(dict), ("made a dict", "must be a heliograph TeamEnv")),
    "a class of something": (lambda: config("pathlib:Path"), ("'pathlib:Path'", "TeamEnv")),
    "a function of nothing of ours": (lambda: config("builtins:dict"), ("made a dict", "PettingZoo ParallelEnv")),
    "a team of its own": (lambda: config(lambda given: Identity()), ("made a Identity with copies", "module:function")),
    "an instance": (lambda: config(Identity()), ("must be a name, a class, or a function",)),
    "a function of nothing": (lambda: config(lambda: None), ("made a NoneType", "must be a heliograph TeamEnv")),
    "a function of nothing, with settings": (
        lambda: config(lambda: None).environment(env_config={"size": 3}),
        ("cannot be called with env_config={'size': 3}", "lambda config"),
    ),
    "uninstantiated": (lambda: FromPettingZoo(raw_particles()), ("not callable", "a function that makes one")),
    "unequal spaces": (
        lambda: FromPettingZoo(
            lambda: __import__("mpe2.simple_speaker_listener_v4", fromlist=["x"]).parallel_env(),
            role_of=lambda agent: "anyone",
        ),
        ("role 'anyone'", "equal spaces"),
    ),
    # policies
    "no policy trained": (lambda: config().multi_agent(policies_to_train=[]), ("policies_to_train is empty", "name")),
    "seed": (lambda: config().debugging(seed="x"), ("seed='x'", "the run", "must be")),
    "a giant of an environment": (
        lambda: config("switch_riddle").environment("switch_riddle", env_config={"prisoners": 10**8}),
        ("prisoners=100000000", "at most 1,000,000"),
    ),
    "a giant": (
        lambda: config().communication(model="cnet", model_settings={"size": 10**6}),
        ("'size': 1000000", "GB of memory", "make it smaller"),
    ),
    "a giant beyond counting": (
        lambda: config().communication(model="cnet", model_settings={"size": 10**10}),
        ("'size': 10000000000", "GB of memory", "make it smaller"),
    ),
    "one trained": (lambda: config().multi_agent(policies_to_train="speaker"), ("policies_to_train=", "['speaker']")),
    "unknown trained": (lambda: config().multi_agent(policies_to_train=["speeker"]), ("'speeker'", "'speaker'")),
    "unknown mapped": (lambda: policies(lambda a, e: "c", "a", "b"), ("agent 'agent_0'", "'c'", "Valid: a, b")),
    "idle policy": (lambda: policies(lambda a, e: "a", "a", "b"), ("policy 'b' serves no agent", "leave it out")),
    "unequal agents": (
        lambda: policies(lambda a, e: "a", "a", env="speaker_listener"),
        ("policy 'a'", "'speaker' and 'listener'", "give each its own policy"),
    ),
    "reserved": (lambda: policies(lambda a, e: "team", "team"), ("'team' is reserved", "rename")),
    "override": (
        lambda: config("identity").multi_agent(
            policies={"a": PolicySpec(config={"gama": 1}), "b": PolicySpec()}, policy_mapping_fn=by_slot
        ),
        ("override of policy 'a'", "'gama'", "lr, model"),
    ),
    "lr of a policy": (
        lambda: config("identity").multi_agent(
            policies={"a": PolicySpec(config={"lr": -1.0}), "b": PolicySpec()}, policy_mapping_fn=by_slot
        ),
        ("lr of policy 'a'=-1.0", "at least 0"),
    ),
    "unknown module": (lambda: config().rl_module(rl_module_spec=module_spec(speeker="x")), ("'speeker'", "'speaker'")),
    "unknown loaded": (lambda: config(load_policies={"speaker": "nowhere"}), ("nowhere", "no run folder")),
    # training
    "minibatch": (lambda: train(minibatch_size=128), ("minibatch_size=128", "train_batch_size_per_learner=64")),
    "minibatch 0": (lambda: train(minibatch_size=0), ("minibatch_size=0", "at least 1")),
    "batch and copies": (
        lambda: runners(num_envs_per_env_runner=100),
        ("train_batch_size_per_learner=64", "100 copies", "num_envs_per_env_runner=100"),
    ),
    "batch 0": (lambda: train(train_batch_size_per_learner=0), ("train_batch_size_per_learner=0", "at least 1")),
    "epochs": (lambda: train(num_epochs=0), ("num_epochs=0", "at least 1")),
    "gamma": (lambda: train(gamma=1.5), ("gamma=1.5", "at most 1")),
    "lambda": (lambda: train(lambda_=-0.1), ("lambda_=-0.1", "at least 0")),
    "lr 0": (lambda: train(lr=0.0), ("lr=0.0", "above 0")),
    "lr infinite": (lambda: train(lr=float("inf")), ("lr=inf", "finite")),
    "lr in words": (lambda: train(lr="fast"), ("lr='fast'", "finite number")),
    "clip": (lambda: train(clip_param=0.0), ("clip_param=0.0", "above 0")),
    "grad_clip": (lambda: train(grad_clip=-1.0), ("grad_clip=-1.0", "above 0")),
    "target_kl": (lambda: train(target_kl=0.0), ("target_kl=0.0", "above 0")),
    "entropy": (lambda: train(entropy_coeff=-0.1), ("entropy_coeff=-0.1", "at least 0")),
    "values": (lambda: train(vf_loss_coeff=-1.0), ("vf_loss_coeff=-1.0", "at least 0")),
    "fragment": (lambda: runners(rollout_fragment_length=0), ("rollout_fragment_length=0",)),
    "no copies": (lambda: runners(num_envs_per_env_runner=0), ("num_envs_per_env_runner=0", "at least 1")),
    "learners": (lambda: runners().learners(num_learners=9), ("num_learners=9", "(8)")),
    # losses
    "coefficient": (lambda: config(losses=[("reconstruction", float("nan"))]), ("'reconstruction'=nan", "finite")),
    "schedule from 5": (lambda: config(losses=[("reconstruction", [[5, 1.0]])]), ("[[5, 1.0]]", "the first at 0")),
    "schedule back": (lambda: train(entropy_coeff=[[0, 1.0], [9, 0.5], [3, 0.0]]), ("entropy_coeff", "steps rising")),
    "schedule of pairs": (lambda: train(lr=[0.1, 0.2]), ("lr=[0.1, 0.2]", "a schedule is [[env steps, value]")),
    "twice": (lambda: config(losses=["reconstruction"] * 2), ("'reconstruction' is given 2 times", "once")),
    "a loss of four": (lambda: as_loss(("reconstruction", 1.0, {}, 4)), ("(loss, coefficient, settings)",)),
    "no loss": (lambda: config(losses=[dict]), ("dict", "must be an AuxiliaryLoss")),
    "settings of a function": (lambda: config(losses=[(by_slot, 1.0, {"a": 1})]), ("takes no settings", "'a': 1")),
    "too many messages": (
        lambda: config(
            channel="symbols", channel_settings={"vocabulary": 9, "length": 9}, losses=["positive_signalling"]
        ),
        ("9^9", "max_messages=4096"),
    ),
    # what RLlib has and this path has not
    "connectors": (
        lambda: runners(env_to_module_connector=lambda env: None),
        ("env_to_module_connector=", "would have no effect", "normalise_observations=True"),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_refused_with_setting_value_and_remedy(name: str) -> None:
    make, words = BAD[name]
    with pytest.raises(ValueError) as caught:
        found = make()
        found.validate()
    missing = [word for word in words if word not in str(caught.value)]
    assert not missing, f"{missing} not in: {caught.value}"


RUN = ["train", "identity", "--out", "run"]
ON_THE_COMMAND_LINE: dict[str, tuple[list[str], tuple[str, ...]]] = {
    "env": (["train", "identiti", "--out", "run"], ("'identiti'", "'identity'")),
    "recipe": (["train", "speaker_listener_dr", "--out", "run"], ("'speaker_listener_dru'",)),
    "algorithm": ([*RUN, "--algorithm", "pp"], ("algorithm 'pp'", "'ppo'")),
    "training setting": ([*RUN, "--set", "training.lrr=1"], ("'lrr'", "'lr'")),
    "lr": ([*RUN, "--set", "training.lr=0"], ("lr=0", "above 0")),
    "lr in words": ([*RUN, "--set", "training.lr=fast"], ("lr='fast'", "finite number")),
    "copies": ([*RUN, "--set", "training.num_envs_per_env_runner=0"], ("num_envs_per_env_runner=0",)),
    "combination": ([*RUN, "--model", "silent"], ("model='silent'", "channel='none'")),
    "seed": ([*RUN, "--seed", "-1"], ("seed=-1", "greater than or equal to 0")),
    "runners": ([*RUN, "--env-runners", "-1"], ("num_env_runners=-1", "greater than or equal to 0")),
    "until": ([*RUN, "--until", "success_rate=nan"], ("until success_rate=nan", "finite")),
    "coefficient": ([*RUN, "--loss", "reconstruction=much"], ("reconstruction=much", "number")),
    "class": (["train", "collections:OrderedDict", "--out", "run"], ("'collections:OrderedDict'", "TeamEnv")),
    "import": (["train", "no_such_module:Env", "--out", "run"], ("'no_such_module:Env'", "cannot be imported")),
    "load nowhere": ([*RUN, "--load-policy", "agent=nowhere"], ("nowhere", "no run folder")),
    "load without name": ([*RUN, "--load-policy", "nowhere"], ("--load-policy nowhere", "KEY=VALUE")),
    "out is a file": (["train", "identity", "--out", "file"], ("file is a file", "--out")),
    "out in a file": (["train", "identity", "--out", "file/run"], ("file is a file", "--out")),
    "resume nothing": (["train", "--resume", "nowhere"], ("nowhere is no run folder",)),
    "resume a file": (["train", "--resume", "file"], ("file is no run folder",)),
    "evaluate a folder": (["evaluate", "."], ("is no run folder",)),
    "evaluate a file": (["evaluate", "file"], ("no safetensors file",)),
    "record nothing": (["record", "nowhere", "--out", "x"], ("nowhere is no run folder",)),
    "report nothing": (["report", "nowhere"], ("nowhere is no run folder",)),
    "export nothing": (["export", "nowhere", "team.safetensors"], ("nowhere is no run folder",)),
    "export to a name": (["export", "nowhere", "team"], ("team", "ends in .safetensors")),
}


@pytest.mark.parametrize("name", ON_THE_COMMAND_LINE)
def test_on_the_command_line_it_is_one_line_and_nothing_is_left(
    name: str, tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    words, said = ON_THE_COMMAND_LINE[name]
    monkeypatch.chdir(tmp_path)
    pathlib.Path("file").write_text("a note")
    assert main(words) == 2
    out, err = capsys.readouterr()
    assert not out and len(err.splitlines()) == 1 and "Traceback" not in err
    assert not [word for word in said if word not in err], err
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and pathlib.Path("file").read_text() == "a note"


def test_there_are_enough_rows() -> None:
    assert len(BAD) + len(ON_THE_COMMAND_LINE) >= 45


def test_a_folder_that_cannot_be_written(tmp_path: pathlib.Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert main(["train", "identity", "--out", str(tmp_path / "run")]) == 2
    assert f"{tmp_path} cannot be written" in capsys.readouterr().err


def test_what_is_no_run_and_no_corpus(tmp_path: pathlib.Path) -> None:
    for read, words in ((read_run, "no run folder"), (load_corpus, "no corpus")):
        with pytest.raises(ValueError, match=words):
            read(tmp_path)


LEGAL = {
    "channel 'none', and a model that talks": {"channel": "none"},
    "channel 'none', and talk_steps or auxiliary losses": {"channel": "none", "losses": ["reconstruction"]},
    "topology 'none', and a channel": {"topology": "none"},
}


@pytest.mark.parametrize("name", LEGAL)
def test_odd_combinations_that_are_controls_are_legal(name: str) -> None:
    assert name in [rule.name for rule in RULES if rule.verdict is Verdict.LEGAL]
    config(settings={"talk_steps": 1}, **LEGAL[name]).validate()


def test_the_table_of_combinations_is_documented() -> None:
    page = (pathlib.Path(__file__).parents[2] / "docs" / "combinations.md").read_text()
    for rule in RULES:
        assert f"| {rule.name} | {rule.verdict.value} | {rule.why} | {rule.remedy} |".replace("  ", " ") in page


def test_gpus_that_are_not_there_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ValueError, match=r"num_gpus_per_learner=1: torch .* sees no GPU in this process; set it to 0"):
        config().learners(num_gpus_per_learner=1).validate()
