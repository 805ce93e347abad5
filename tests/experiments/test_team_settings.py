"""Settings of a team are written down once, and mean the same in Python, in files and on the command line."""

import inspect

import pytest

from heliograph.cli.choosing import TEAM
from heliograph.experiments.settings import TrainSettings, settings_from
from heliograph.experiments.team_settings import BESIDE, CHOSEN, FIELDS, TeamSettings
from heliograph.rllib.ppo import CommPPOConfig
from heliograph.rllib.runs.configured import config_of, settings_of_config

OTHER = {
    "critic": "state", "critic_size": 5, "normalise_observations": True, "normalise_rewards": True,
    "normalise_values": False, "freeze_team": True, "torch_num_threads": 1,
}  # fmt: skip
"""Another value than the default of every setting that is one plain value."""


def test_other_values_are_known_for_every_plain_setting() -> None:
    """A field that is added is tested by this module, or it fails."""
    assert set(OTHER) == set(BESIDE)
    assert all(OTHER[name] != getattr(TeamSettings(), name) for name in BESIDE)


@pytest.mark.parametrize("name", BESIDE)
def test_a_plain_setting_goes_from_settings_to_rllib_and_back(name: str) -> None:
    """Nothing but the structure names it."""
    config = config_of(TrainSettings(env="identity", **{name: OTHER[name]}))
    assert getattr(config, name) == OTHER[name]
    assert getattr(settings_of_config(config), name) == OTHER[name]
    assert name in TEAM


def test_a_configuration_begins_with_the_defaults_of_the_structure() -> None:
    """There is no second list of defaults."""
    begins = TeamSettings().beside()
    assert {name: getattr(CommPPOConfig(), name) for name in begins} == begins
    assert set(BESIDE) - set(begins) == {"critic", "critic_size", "torch_num_threads"}


def test_help_shows_every_setting_with_its_default_and_meaning() -> None:
    """What editors and `help()` show is made from the structure."""
    method = CommPPOConfig.communication
    shown = inspect.signature(method).parameters
    assert set(shown) - {"self"} == set(FIELDS) >= set(CHOSEN)
    assert shown["critic_size"].default == TeamSettings().critic_size
    for name, field in FIELDS.items():
        assert f"`{name}`: {field.description}" in (method.__doc__ or "")


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"critic_size": -1}, "critic_size=-1"),
        ({"normalise_rewards": "blue"}, "normalise_rewards='blue'"),
        ({"torch_num_threads": 0}, "torch_num_threads=0"),
        ({"losses": "imitation"}, "losses='imitation'"),
    ],
)
def test_a_wrong_value_is_refused_in_the_same_words_everywhere(given: dict, told: str) -> None:
    """In `.communication()` as in training settings."""
    with pytest.raises(ValueError, match=told) as of_config:
        CommPPOConfig().communication(**given)
    with pytest.raises(ValueError, match=told) as of_settings:
        settings_from(given)
    assert str(of_config.value) == str(of_settings.value)


def test_an_unknown_keyword_names_the_nearest() -> None:
    """As Python refuses one, with help."""
    with pytest.raises(TypeError, match=r"'chanel'.*did you mean 'channel'"):
        CommPPOConfig().communication(chanel="dru")
