"""Hand-written protocols for speaker_listener: what they say and hear is known, so analyses have one right answer."""

import dataclasses
import pathlib

import torch

from heliograph.envs.switch_riddle import scripted_n3, scripted_n4
from heliograph.experiments.choices import EnvChoice, TeamChoices, build_env, build_team, facts_of
from heliograph.models.scripted import ScriptedOutput, say_bits, say_symbol
from heliograph.storage.run_folder import Run, write_config, write_team

GOALS = 3
VOCABULARY = 4


def _output(inputs, heard, symbol_of, *, size: int, channel_input) -> ScriptedOutput:
    """Speakers see as many numbers as there are goals, listeners one; each does its part, the rest is ignored."""
    observation = inputs.observation
    if observation.shape[-1] == GOALS:
        symbol = symbol_of(observation.argmax(-1))
        action = observation.new_zeros(*observation.shape[:-1], 1)
        said = channel_input(symbol)
    else:
        total = observation.new_zeros(*observation.shape[:-1], 1) if heard is None else heard.total()
        action = say_symbol(total.argmax(-1).clamp(max=GOALS - 1), GOALS)
        said = observation.new_zeros(*observation.shape[:-1], size)
    return ScriptedOutput(
        action_inputs=action, channel_input=said, memory=observation.new_zeros(*observation.shape[:-1], 0)
    )


def perfect(inputs, memory, heard) -> ScriptedOutput:
    """Symbol g for goal g, and the listener names the symbol."""
    return _output(inputs, heard, lambda goal: goal, size=VOCABULARY, channel_input=lambda s: say_symbol(s, VOCABULARY))


def shifted(inputs, memory, heard) -> ScriptedOutput:
    """Symbol g + 1 for goal g, 0 for the last, and the listener names what is meant so."""
    own = None if heard is None else dataclasses.replace(heard, messages=heard.messages[..., [1, 2, 0, 3]])
    return _output(
        inputs, own, lambda goal: (goal + 1) % GOALS, size=VOCABULARY, channel_input=lambda s: say_symbol(s, VOCABULARY)
    )


def collapsed(inputs, memory, heard) -> ScriptedOutput:
    """Always symbol 1."""
    return _output(inputs, heard, torch.ones_like, size=VOCABULARY, channel_input=lambda s: say_symbol(s, VOCABULARY))


def perfect_bits(inputs, memory, heard) -> ScriptedOutput:
    """Bit g for goal g."""
    one_hot = torch.nn.functional.one_hot
    return _output(inputs, heard, lambda goal: goal, size=GOALS, channel_input=lambda s: say_bits(one_hot(s, GOALS)))


def riddle(inputs, memory, heard) -> ScriptedOutput:
    """The optimal protocol for three prisoners: memory holds the day and whether one has been in the room."""
    return _by_one_bit(scripted_n3, inputs, memory, heard)


def riddle_n4(inputs, memory, heard) -> ScriptedOutput:
    """The best protocol known for four."""
    return _by_one_bit(scripted_n4, inputs, memory, heard)


def _by_one_bit(protocol, inputs, memory, heard) -> ScriptedOutput:
    here = inputs.observation[..., 0] > 0
    day, been = memory[..., 0].long(), memory[..., 1] > 0
    bit = torch.zeros_like(day) if heard is None else heard.total()[..., 0].long()
    says, tells = protocol(been, day=day, bit=bit)
    memory = torch.stack([memory[..., 0] + 1, (been | here).float()], -1)
    return ScriptedOutput(action_inputs=say_symbol(tells, 2), channel_input=say_bits(says.unsqueeze(-1)), memory=memory)


def last_day(inputs, memory, heard) -> ScriptedOutput:
    """Whoever is in the room on the sixth day tells; the light says nothing."""
    tells = (memory[..., 0] == 5).long()
    says = torch.zeros_like(memory[..., :1])
    return ScriptedOutput(action_inputs=say_symbol(tells, 2), channel_input=say_bits(says), memory=memory + 1)


def riddle_run(function=riddle, *, channel: str = "dru", **env) -> Run:
    """A run of a script for the riddle, with three prisoners unless `env` says otherwise."""
    choice = EnvChoice(env="switch_riddle", settings=env)
    settings = {"function": f"tests.analysis.teams:{function.__name__}", "memory_size": 2}
    bits = {"bits": 1} if channel == "dru" else {}
    choices = TeamChoices(model="scripted", model_settings=settings, channel=channel, channel_settings=bits)
    facts = facts_of(build_env(choice, num_envs=1))
    config = {"env": choice.model_dump(), "team": choices.model_dump()}
    team = build_team(choices, facts, seed=0).eval()
    return Run(folder=pathlib.Path("none"), config=config, env=choice, choices=choices, facts=facts, team=team)


def scripted_run(function=perfect, *, channel: str = "symbols", folder: pathlib.Path | None = None, **env) -> Run:
    """A run of a script, as `read_run` would return it; written to `folder` where one is given."""
    settings = {"bits": GOALS} if channel.endswith("dru") else {}
    choice = EnvChoice(env="speaker_listener", settings={"goals": GOALS, **env})
    function = function if isinstance(function, str) else f"tests.analysis.teams:{function.__name__}"
    choices = TeamChoices(
        model="scripted", model_settings={"function": function}, channel=channel, channel_settings=settings
    )
    facts = facts_of(build_env(choice, num_envs=1))
    team = build_team(choices, facts, seed=0)
    team.eval()
    config = {"env": choice.model_dump(), "team": choices.model_dump(), "training": {"algorithm": "ppo"}}
    if folder is not None:
        write_team(folder, team)
        write_config(folder, env=choice, choices=choices, training={"algorithm": "ppo"})
    where = folder or pathlib.Path("none")
    return Run(folder=where, config=config, env=choice, choices=choices, facts=facts, team=team)
