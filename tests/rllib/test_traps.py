"""RLlib's traps, each with a test that would notice if Heliograph fell into it.

| trap | test |
|---|---|
| DDP of single modules never averages a joint gradient: weights of learners drift apart | `test_algorithm.py`: two learners hold equal weights |
| parameters that the multi-module owns itself are not optimised, saved or synced | here: every parameter has an optimiser and a place in the state |
| `grad_clip` is ignored for optimisers that are registered for all modules | here: clipping limits the whole team's step |
| restoring an older checkpoint leaves newer weights in place | here: older weights are taken over; `test_algorithm.py`: a checkpoint continues bit by bit |
| `get_default_rl_module_spec` must be the specification of one module | here: the default specification is that of one module |
| `policies_to_train=[]` fails far from its cause | `test_local.py`: bad input is refused |
| classes of `__main__` cannot be sent to learners | here: what is sent to processes is importable |
| checkpoints are pickles | `test_run_folder.py`: sharing needs none; here: a trainer's state file holds none |
| population based training: the donor's learning rate stays | here: a donor's state leaves one's own learning rate |
| exceptions in a remote runner are logged, and the runner restarts for ever | `test_faults.py`: an environment that raises is told |
| connectors, filters, offline output and other settings do nothing with one's own runner | `test_unheeded.py`: each is refused |
| names of metrics | `test_algorithm.py`: env runners |
| torch takes all cores in the driver | here: one thread |
| noise on stderr | here: harmless lines are dropped, others are not |
| token files, usage statistics | here: Ray is started quietly |
| minibatches that are shuffled for each module apart | `test_rollout.py`: split; `test_local.py`: the first ratio is one |
| a frozen policy's batch is dropped, and its speaker learns nothing; its normalisers move | `test_local.py`: a frozen listener |
| shards that are cut into different numbers of minibatches: learners wait for each other for ever | `test_learners.py`; here: shards share all copies |
| what a custom env runner must have | here: the runner has what RLlib asks for |
| private methods that are replaced | `test_overridden.py` |
"""  # noqa: E501

import os
import pathlib
import random
import zipfile
from typing import Any

import cloudpickle
import numpy as np
import pytest
import safetensors
import torch
from ray.rllib.core.rl_module.rl_module import RLModuleSpec
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES

from heliograph.rllib.algorithm import _shards
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs import session
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.rng_state import get_streams, set_streams
from heliograph.storage.state_file import StateFileError, read_state, write_state


def config(**training: Any) -> CommPPOConfig:
    return (
        CommPPOConfig()
        .environment("speaker_listener")
        .communication(model="cnet", model_settings={"size": 8}, channel="dru", losses=["reconstruction"])
        .env_runners(num_envs_per_env_runner=16)
        .training(train_batch_size_per_learner=64, minibatch_size=32, num_epochs=1, **training)
        .debugging(seed=0)
    )


def parameters(trainer: LocalTrainer) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in trainer.team.parameters()])


def test_every_parameter_has_an_optimiser_and_a_place_in_the_state() -> None:
    trainer = LocalTrainer(config())
    learner = trainer.learner
    optimised = {
        id(p) for optimiser in learner._named_optimizers.values() for g in optimiser.param_groups for p in g["params"]
    }
    everything = [*trainer.team.parameters(), *torch.nn.ModuleList(learner.module._rl_modules.values()).parameters()]
    assert {id(p) for p in everything if p.requires_grad} == optimised
    saved = sum(np.size(value) for module in learner.module.get_state().values() for value in module.values())
    distinct = {id(p): p.numel() for p in everything}
    assert saved >= sum(distinct.values())


def test_clipping_limits_the_whole_teams_step(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CommPPOConfig, "build_optimizer", lambda self, params: torch.optim.SGD(params, lr=1.0))
    moved = {}
    for clip in (1e-3, None):
        trainer = LocalTrainer(config(lr=1.0, grad_clip=clip).training(minibatch_size=None))
        before = parameters(trainer)
        trainer.train()
        moved[clip] = float(torch.linalg.vector_norm(parameters(trainer) - before))
    assert 0 < moved[1e-3] <= 1e-3 < moved[None]


def test_older_weights_are_taken_over() -> None:
    trainer = LocalTrainer(config())
    old = trainer.get_state()
    weights = parameters(trainer)
    for _ in range(2):
        trainer.train()
    assert not torch.equal(parameters(trainer), weights)
    trainer.set_state(old)
    assert torch.equal(parameters(trainer), weights)
    runner, newer = trainer.env_runner, LocalTrainer(config()).learner.module.get_state(inference_only=True)
    present = runner.module.get_state()
    runner.set_state({"rl_module": present, "weights_seq_no": 7})
    runner.set_state({"rl_module": newer, "weights_seq_no": 3})
    held = runner.module.get_state()
    assert all(np.array_equal(held[m][k], newer[m][k]) for m in newer for k in newer[m])


def test_the_default_specification_is_that_of_one_module() -> None:
    assert isinstance(config().get_default_rl_module_spec(), RLModuleSpec)


def test_what_is_sent_to_processes_is_importable() -> None:
    settings = config()
    settings.validate()
    again = cloudpickle.loads(cloudpickle.dumps(settings))
    for cls in (again.get_default_learner_class(), again.env_runner_cls, again.algo_class, type(again)):
        assert cls.__module__.startswith("heliograph.") and "<" not in cls.__qualname__


def test_a_donors_state_leaves_ones_own_learning_rate() -> None:
    donor, own = LocalTrainer(config(lr=1e-2)), LocalTrainer(config(lr=1e-4))
    donor.train()
    own.set_state(donor.get_state())
    own.train()
    rates = [group["lr"] for optimiser in own.learner._named_optimizers.values() for group in optimiser.param_groups]
    assert rates == [pytest.approx(1e-4)] * len(rates)


@pytest.mark.parametrize(
    ("allowed", "size", "given", "threads"),
    [("8", 8, None, 1), ("8", 256, None, 2), ("1", 256, None, 1), ("8", 8, 3, 3), ("1", 8, 3, 1), ("", 8, None, 1)],
)
def test_threads(allowed: str, size: int, given: int | None, threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    before = torch.get_num_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", allowed)
    torch.set_num_threads(5)
    try:
        LocalTrainer(config().communication(model_settings={"size": size}, torch_num_threads=given))
        assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


def test_harmless_lines_are_dropped_others_are_not(capfd: pytest.CaptureFixture[str]) -> None:
    with session.harmless_lines_dropped():
        os.write(2, b"an Actor " + session.HARMLESS[0] + b".\nthe ship is sinking\n")
    assert capfd.readouterr().err == "the ship is sinking\n"


def test_shards_share_all_copies() -> None:
    rollout = LocalTrainer(config()).env_runner.sample()[0].select(torch.arange(15))
    shards = _shards([rollout], 2)
    assert [[part.num_envs for part in shard] for shard in shards] == [[15], [15]]
    with pytest.raises(ValueError, match="num_learners=31"):
        _shards([rollout], 31)


def test_the_runner_has_what_rllib_asks_for() -> None:
    trainer = LocalTrainer(config())
    runner = trainer.env_runner
    spaces = runner.get_spaces()
    assert {INPUT_ENV_SPACES, INPUT_ENV_SINGLE_SPACES, "speaker", "listener"} <= set(spaces)
    rollouts = runner.sample(num_timesteps=70)
    assert type(rollouts) is list and all(type(r).__name__ == "Rollout" for r in rollouts)
    assert sum(r.env_steps() for r in rollouts) >= 70 and all(len(r) == r.env_steps() for r in rollouts)
    measured = runner.get_metrics()
    names = {"num_env_steps_sampled", "num_env_steps_sampled_lifetime", "num_episodes", "num_episodes_lifetime"}
    assert names | {"num_agent_steps_sampled", "episode_return_mean", "episode_len_mean"} <= set(measured)
    assert measured["num_env_steps_sampled"].peek() == sum(r.env_steps() for r in rollouts)
    assert runner.get_ctor_args_and_kwargs() == ((), {"config": runner.config})
    assert runner.ping() == "pong" and runner.assert_healthy() is None


# ---- the state file --------------------------------------------------------------------------------------------------


def test_a_trainers_state_file_continues_bit_by_bit_and_holds_no_pickle(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "trainer.safetensors"
    trainer = LocalTrainer(config())
    trainer.train()
    trainer.save(path)
    assert not zipfile.is_zipfile(path) and [p.name for p in tmp_path.iterdir()] == [path.name]
    other = LocalTrainer(config())
    other.restore(path)
    first, second = trainer.train(), other.train()
    assert torch.equal(parameters(trainer), parameters(other)) and trainer.iteration == other.iteration == 2
    assert (first.learner, first.num_env_steps) == (second.learner, second.num_env_steps)


def test_who_plays_whom_and_the_streams_of_the_process_go_on(tmp_path: pathlib.Path) -> None:
    def pairs() -> LocalTrainer:
        settings = config().environment("identity").communication(losses=[drawn])
        mapping = lambda agent, episode: "ab"[(int(episode.id_, 16) + int(agent[-1])) % 2]  # noqa: E731
        return LocalTrainer(settings.multi_agent(policies={"a", "b"}, policy_mapping_fn=mapping))

    def drawn(batch: Any) -> torch.Tensor:
        return batch.unrolled.channel_inputs[0].mean() * (torch.rand(()) + np.random.rand())

    trainer, other = pairs(), pairs()
    trainer.train()
    trainer.save(tmp_path / "state")
    trainer.train()
    other.restore(tmp_path / "state")
    other.train()
    assert torch.equal(parameters(trainer), parameters(other))


def test_pythons_own_stream_goes_on_as_well() -> None:
    """By itself: where types are checked, beartype draws from it, too."""
    state = get_streams()
    expected = [random.random() for _ in range(3)]
    set_streams(state)
    assert [random.random() for _ in range(3)] == expected


def test_state_files_refuse_what_is_not_theirs(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "state"
    with pytest.raises(StateFileError, match="does not exist"):
        read_state(path)
    path.write_bytes(b"rubbish")
    with pytest.raises(StateFileError, match="damaged"):
        read_state(path)
    about = {"kind": "heliograph trainer state", "format_version": "1"}
    for name in ("os:system", "heliograph.storage.atomic:flush_tree"):
        tree = f'{{"class": "{name}", "fields": {{}}}}'
        path.write_bytes(safetensors.torch.save({}, {**about, "tree": tree}))
        with pytest.raises(StateFileError, match="structure"):
            read_state(path)
    with pytest.raises(TypeError, match=r"state\.env is a object"):
        write_state(path, {"env": object()})
