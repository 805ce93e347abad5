"""Several learners: they learn what one learns, take equally many steps, and none waits for another without end."""

import multiprocessing
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from heliograph.channels.dru import DRU
from heliograph.rllib import peers
from heliograph.rllib.algorithm import _shards
from heliograph.rllib.config import CommunicationConfig
from heliograph.rllib.env_runner import TeamEnvRunner
from heliograph.rllib.peers import LearnerWaitError, Peers
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.qlearning import CommDQNConfig
from heliograph.rollouts.rollout import Rollout, concatenate
from heliograph.rollouts.split_episodes import folded
from tests.rllib.test_algorithm import difference

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # ray.data, which remote learners load


def ended_unequally(algorithm: type[CommunicationConfig] = CommPPOConfig) -> CommunicationConfig:
    """Nine copies of the riddle, whose episodes end when somebody tells."""
    config = algorithm().environment("switch_riddle", env_config={"prisoners": 4})
    config.communication(model="cnet", model_settings={"size": 16, "message_norm": "none"}, channel="dru")
    config.env_runners(num_envs_per_env_runner=9).debugging(seed=0, log_level="ERROR")
    if algorithm is not CommDQNConfig:
        config.training(train_batch_size_per_learner=360)
    return config.training(minibatch_size=None, num_epochs=1) if algorithm is CommPPOConfig else config


def after_one_update(config: CommunicationConfig, rollouts: list[Rollout], *, learners: int) -> list[dict]:
    """The weights of every learner."""
    algorithm = config.copy(copy_frozen=False).learners(num_learners=learners).build_algo()
    try:
        algorithm.metrics.log_value(("env_runners", "num_env_steps_sampled_lifetime"), 256, reduce="lifetime_sum")
        algorithm._learn(rollouts)
        group = algorithm.learner_group
        if group.is_local:
            return [group._learner.module.get_state()]
        return [r.get() for r in group.foreach_learner(lambda one: one.module.get_state())]
    finally:
        algorithm.stop()


@pytest.mark.parametrize("algorithm", [CommPPOConfig, CommDQNConfig])
def test_two_learners_learn_what_one_does(ray_session: None, algorithm: type[CommunicationConfig]) -> None:
    """One step on a whole batch of an odd number of copies, of which one learner has one more."""
    config = ended_unequally(algorithm)
    rollouts = TeamEnvRunner(config=config.copy(copy_frozen=False)).sample(num_timesteps=360)
    assert len(set(concatenate(rollouts).episode_over.sum(0).tolist())) > 1 or algorithm is CommDQNConfig
    found = [after_one_update(config, rollouts, learners=number) for number in (0, 2)]
    assert [len(states) for states in found] == [1, 2]
    assert difference(found[1][0], found[1][1]) == 0.0
    assert difference(found[0][0], found[1][0]) <= 1e-5


def test_two_learners_take_equally_many_minibatches_whatever_their_episodes(ray_session: None) -> None:
    """The copies of one learner can be folded and those of the other cannot: 10 minibatches would meet 4."""
    config = CommPPOConfig().environment("predator_prey", env_config={"size": 5, "mode": "mixed"})
    config.communication(model="commnet", model_settings={"size": 16}, channel="continuous")
    config.env_runners(num_envs_per_env_runner=8).debugging(seed=0, log_level="ERROR")
    config.training(train_batch_size_per_learner=800, minibatch_size=40, num_epochs=2)
    rollouts = TeamEnvRunner(config=config.copy(copy_frozen=False)).sample(num_timesteps=800)
    assert [folded(concatenate(shard)).num_envs for shard in _shards(rollouts, 2)] == [20, 4]
    found = after_one_update(config, rollouts, learners=2)
    assert difference(found[0], found[1]) == 0.0


def test_shares_differ_by_one_copy_at_most_and_leave_out_none() -> None:
    rollouts = TeamEnvRunner(config=ended_unequally()).sample(num_timesteps=90)
    shards = [concatenate(shard) for shard in _shards(rollouts, 4)]
    assert [shard.num_envs for shard in shards] == [3, 2, 2, 2]
    assert torch.equal(torch.cat([shard.rewards for shard in shards], 1), concatenate(rollouts).rewards)


class Failing(DRU):
    """A channel that fails where its copies are the last ones of the batch."""

    def send(self, channel_input: torch.Tensor, **kwargs: Any) -> Any:
        if torch.distributed.is_initialized() and torch.distributed.get_rank() == 1:
            raise ValueError("the second learner's channel is broken")
        return super().send(channel_input, **kwargs)


def test_what_one_learner_failed_of_is_told_and_nobody_waits(ray_session: None) -> None:
    config = ended_unequally().communication(channel=Failing)
    algorithm = config.learners(num_learners=2).build_algo()
    began = time.monotonic()
    try:
        with pytest.raises(ValueError, match="the second learner's channel is broken"):
            algorithm.train()
    finally:
        algorithm.stop()
    assert time.monotonic() - began < peers.PATIENCE_SECONDS


HOW = ("late", "gone")


def _meet(rank: int, folder: str, told: Any) -> None:
    """A learner of two, twice: the first waits, the second comes late, and then leaves."""
    peers.PATIENCE_SECONDS = 1.0
    for how in HOW:
        torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/{how}", rank=rank, world_size=2)
        pair = Peers(number=2)
        sizes = [int(pair.agreed(torch.tensor([1.0 + rank]))[0] * 10), pair.least(3 + rank, device=torch.device("cpu"))]
        if rank == 1:
            time.sleep(3 if how == "late" else 0)
        else:
            try:
                pair.agreed(torch.ones(1))
            except LearnerWaitError as error:
                told.put((sizes, str(error)))
        peers.leave()


def test_a_learner_that_waits_for_another_says_so(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    told = context.Queue()
    processes = [context.Process(target=_meet, args=(rank, str(tmp_path), told)) for rank in range(2)]
    for process in processes:
        process.start()
    found = [told.get(timeout=60) for _ in HOW]
    for process in processes:
        process.join(timeout=30)
    assert [sizes for sizes, _ in found] == [[15, 3], [15, 3]]
    assert found[0][1].startswith("learner 0 of 2 waited 1 s for another one")
    assert "lost another one" in found[1][1]
