"""What is measured in training and evaluation: what the environment says, and returns of roles and agents."""

import pathlib
from typing import Any

import pytest
import torch

from heliograph.analysis.evaluate import evaluate
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.settings import settings_from
from heliograph.rllib.runs.train import train
from heliograph.rollouts.statistics import Episodes, info_at_end
from heliograph.storage.run_folder import read_run
from heliograph.types import TeamStep


class Far(SpeakerListener):
    """Says at the end of each episode how far it was off: 0 where the reward is 1, and 2 where it is -1."""

    def step(self, actions: Any) -> TeamStep:  # type: ignore[misc]
        step = super().step(actions)
        off = 1 - step.rewards.mean(1)
        step.info = {**step.info, "off": off, "by_agent": step.rewards}
        return step


SMALL = {
    "env": Far,
    "channel": "none",
    "model_settings": {"size": 8},
    "algorithm_settings": {"num_envs_per_env_runner": 32, "train_batch_size_per_learner": 64, "minibatch_size": 32},
    "evaluation_episodes": 20,
}


def test_what_the_environment_says_is_measured(tmp_path: pathlib.Path) -> None:
    rows: list[dict[str, Any]] = []
    summary = train(
        settings_from({**SMALL, "until": {"info_off": {"at_most": 9}}}), out=tmp_path / "run", on_progress=rows.append
    )
    assert (summary["stopped_by"], len(rows)) == ("until", 1)
    for row in rows:
        assert row["info_off"] == pytest.approx(1 - row["episode_return_mean"], abs=1e-5)
        assert "info_by_agent" not in row and "info_success" not in row
        assert row["role_return_mean/listener"] == row["agent_return_mean/listener_0"] == row["episode_return_mean"]
    assert summary["info_off"] == pytest.approx(1 - summary["episode_return_mean"], abs=1e-5)
    found = evaluate(read_run(tmp_path / "run", trust=True), num_episodes=30)
    assert found["role_returns_mean"].keys() == {"speaker", "listener"} == {k[:-2] for k in found["agent_returns_mean"]}


def test_means_leave_out_what_is_no_number() -> None:
    one = torch.ones(3)
    info = {"a": torch.tensor([1.0, float("nan"), 3.0]), "b": torch.full((3,), float("nan"))}
    episodes = Episodes(
        agent_returns=one[:, None], present=one[:, None].bool(), lengths=one.long(), success=one, info=info
    )
    assert episodes.info_means() == {"a": 2.0}
    kept = info_at_end({"success": one, "a": one.bool(), "vector": one[:, None]}, lead=1)
    assert list(kept) == ["a"] and kept["a"].dtype is torch.float
