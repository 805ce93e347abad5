"""A channel as a list of layers: each with its own settings, also where a wrapper occurs twice."""

import pathlib
from typing import Any

import pytest

from heliograph.channels.delayed import Delayed
from heliograph.cli import main
from heliograph.experiments.channel_layers import channel_text, layers_of, wrapped_in
from heliograph.experiments.choices import TeamChoices, build_channel
from heliograph.experiments.settings import control_of, settings_from
from heliograph.registry import UnknownNameError
from heliograph.reports.run_results import flat_settings
from heliograph.storage.run_folder import read_config, read_run

TWICE = [("delayed", {"steps": 2}), ("delayed", {"steps": 1}), ("dru", {"bits": 3})]


def test_the_short_form_shares_its_settings_out_and_the_long_one_has_them_beside_each_layer() -> None:
    short = build_channel("delayed+dru", {"steps": 2, "bits": 3})
    long = build_channel([("delayed", {"steps": 2}), ("dru", {"bits": 3})], {})
    assert (short.delay_env_steps, short.input_size) == (long.delay_env_steps, long.input_size) == (2, 3)
    assert build_channel(["dru"], {}).input_size == build_channel("dru", {}).input_size


def test_a_wrapper_may_occur_twice_with_settings_of_its_own() -> None:
    twice = build_channel(TWICE, {})
    assert twice.delay_env_steps == 3 and twice.input_size == 3
    assert build_channel([(Delayed, {"steps": 4}), "dru"], {}).delay_env_steps == 4


@pytest.mark.parametrize(
    ("channel", "settings", "words"),
    [
        (TWICE, {"bits": 2}, r"channel_settings=\{'bits': 2\}: .*'delayed\+delayed\+dru' are a list"),
        ([], {}, "needs at least one layer"),
        ([("delayed", 2), "dru"], {}, r"channel layer \('delayed', 2\): must be a name, or a pair"),
        (["dru", "delayed"], {}, "'dru' wraps no other: write it last"),
        ([["delayed", {"steps": 0}], "dru"], {}, "steps=0"),
    ],
)
def test_what_is_no_list_of_layers_is_told(channel: Any, settings: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        build_channel(channel, settings)


def test_a_setting_of_another_layer_is_unknown() -> None:
    with pytest.raises(UnknownNameError, match="'bits'"):
        build_channel([("delayed", {"bits": 2}), "dru"], {})


def test_names_of_layers_are_told_as_in_the_short_form() -> None:
    assert channel_text(TWICE) == "delayed+delayed+dru" and channel_text("gated+dru") == "gated+dru"
    assert channel_text([Delayed, "dru"]) == "Delayed+dru" and channel_text(Delayed) == "Delayed"
    assert wrapped_in("garbled", "dru") == "garbled+dru" and wrapped_in("garbled", TWICE) == ["garbled", *TWICE]
    assert [layer.settings for layer in layers_of("delayed+dru", {})] == [None, None]


def test_a_team_on_layers_is_trained_by_command_beside_its_controls_and_read_again(tmp_path: pathlib.Path) -> None:
    layers = '[["delayed", {"steps": 1}], ["dru", {"bits": 2}]]'
    out = tmp_path / "run"
    command = ["train", "speaker_listener", "--channel", layers, "--iterations", "1", "--out", str(out)]
    sizes = {"num_envs_per_env_runner": 8, "train_batch_size_per_learner": 64, "minibatch_size": 64}
    small = [f"training.{name}={size}" for name, size in sizes.items()]
    assert main([*command, "--set", "env.rounds=4", "model.size=8", *small]) == 0
    run = read_run(out)
    assert run.choices == TeamChoices(
        model_settings={"size": 8}, channel=[["delayed", {"steps": 1}], ["dru", {"bits": 2}]]
    )
    flat = flat_settings(out, read_config(out))
    assert (flat["channel"], flat["channel.delayed.steps"], flat["channel.dru.bits"]) == ("delayed+dru", 1, 2)


def test_the_garbled_control_of_layers_has_one_more() -> None:
    settings = settings_from({"env": "speaker_listener", "channel": TWICE, "iterations": 1})
    assert control_of(settings, "garbled").channel == ["garbled", *TWICE]
    assert control_of(settings, "silent").channel == "none"
