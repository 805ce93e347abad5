"""Every setting of every component, algorithm and team, in the company of every other component: has it an effect?

    OMP_NUM_THREADS=1 python benchmarks/settings.py --out benchmarks/results/settings.json

A tiny team is trained for two updates with and without one setting, and plays an evaluation; weights, and what was said
and done, are compared bit by bit. A setting must change something, or be refused by a ValueError that names it. Tests
walk a covering array of the same cases.
"""

import argparse
import collections
import concurrent.futures
import dataclasses
import hashlib
import importlib.metadata
import itertools
import json
import multiprocessing
import pathlib
import platform
import subprocess
import time
import warnings
from collections.abc import Iterator, Mapping
from typing import Any

import ray
import torch
from torch import Tensor

from heliograph import registry
from heliograph.experiments.choices import DECIDED_ELSEWHERE
from heliograph.experiments.settings import settings_from
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.rllib.runs.train import config_of
from heliograph.storage.run_folder import write_json
from heliograph.types import Choice, MessageForm

Settings = dict[str, Any]

RESULT = "benchmarks/results/settings.json"
EFFECT, REFUSED, NOTHING = "effect", "refused", "nothing"
SEED, UPDATES = 3, 2


@dataclasses.dataclass(frozen=True)
class With:
    """A value that needs others: `base` stands on both sides of the comparison."""

    value: Any
    base: Settings


COPIES = {"num_envs_per_env_runner": 8}
REPLAY = {
    **COPIES, "train_batch_size_per_learner": 16, "num_steps_sampled_before_learning_starts": 8, "q_size": 8,
    "env_steps_per_update": 8, "replay_env_steps": 64, "tau": 0.5, "lr": 1e-2,
}  # fmt: skip
BATCH = {**COPIES, "train_batch_size_per_learner": 32}
ALGORITHMS: dict[str, Settings] = {
    "ppo": {**BATCH, "minibatch_size": 16, "num_epochs": 2},
    "a2c": BATCH,
    "qlearning": {**COPIES, "target_update_every": 1},
    "maac": REPLAY,
    "maddpg": REPLAY,
    "mappo": {**BATCH, "minibatch_size": 16, "num_epochs": 2},
}
ENVS: dict[str, Settings] = {
    "predator_prey": {"size": 3, "predators": 4, "steps": 4},
    "speaker_listener": {"rounds": 2},
    "identity": {},
    "levers": {"levers": 3, "pool": 5},
    "switch_riddle": {},
    "traffic_junction": {"cars": 3, "steps": 4, "p_arrive": 0.8},
    "combat": {"soldiers": 3, "size": 6, "steps": 4},
    "graph_colouring": {"agents": 6, "degree": 2, "steps": 3},
    "colour_digit": {},
    "multistep_digits": {"steps": 2},
    "reconstruction": {"attributes": 2, "values": 3},
    "discrimination": {"attributes": 2, "values": 3, "candidates": 3},
    "classification": {"attributes": 2, "values": 3},
    **{f"mpe_{task}": {"steps": 4} for task in (
        "adversary", "crypto", "push", "reference", "speaker_listener", "spread", "tag", "world_comm"
    )},
    "rover_tower": {"pairs": 2, "steps": 4},
    "treasure_collection": {"hunters": 3, "banks": 1, "steps": 4},
}  # fmt: skip
CHANNELS: dict[str, tuple[str, Settings]] = {
    "dru": ("dru", {}),
    "symbols": ("symbols", {}),
    "symbols-gumbel": ("symbols", {"gradient": "gumbel"}),
    "words": ("symbols", {"length": 2, "eos": True, "spelling_size": 8}),
    "continuous": ("continuous", {}),
    "continuous-score": ("continuous", {"gradient": "score"}),
    "vq": ("vq", {}),
    "gated": ("gated+continuous", {}),
    "noisy": ("noisy+dru", {}),
    "noisy-vectors": ("noisy+continuous", {}),
    "lossy": ("lossy+symbols", {}),
    "delayed": ("delayed+dru", {}),
    "limited": ("limited+symbols", {"max_messages": 1}),
    "garbled": ("garbled+dru", {}),
    "relabelled": ("relabelled+symbols", {}),
}
TOPOLOGIES: dict[str, Settings] = {
    "full": {},
    "ring": {},
    "random": {"degree": 1},
    "grid": {"columns": 2},
    "exponential": {},
    "radius": {"radius": 1.5},
    "nearest": {"number": 1},
    "given": {"mask": [[hearer != sender for sender in range(4)] for hearer in range(4)]},
}
MODELS: dict[str, Settings] = {
    "feedforward": {"size": 8},
    "cnet": {"size": 8, "layers": 1},
    "commnet": {"size": 8},
    "commnet-mlp": {"size": 8, "core": "mlp"},
    "ic3net": {"size": 8},
    "tarmac": {"size": 8, "signature_size": 4, "value_size": 4},
    "gacomm": {"size": 8, "hard_size": 8, "key_size": 4, "value_size": 4},
    "magic": {"size": 8, "heads": 2, "encoder_size": 4, "encoder_heads": 2},
    "graph_attention": {"size": 8, "heads": 2},
    "mean_field": {"size": 8},
}
QUIET: dict[str, Settings] = {"silent": {"size": 8}, "full_information": {"size": 8}}
LOSSES = {
    "reconstruction": {"size": 8}, "state_estimation": {"size": 8}, "imitation": {}, "positive_signalling": {},
    "message_cost": {},
}  # fmt: skip
KINDS: dict[str, list[str]] = {
    "algorithm": list(ALGORITHMS), "model": list(MODELS), "channel": list(CHANNELS), "topology": list(TOPOLOGIES),
    "env": list(ENVS), "loss": list(LOSSES),
}  # fmt: skip
BESIDE: dict[str, tuple[str, ...]] = {
    "env": ("algorithm",),
    "channel": ("algorithm", "model", "loss"),
    "topology": ("algorithm", "channel"),
    "model": ("algorithm", "channel"),
    "loss": ("algorithm", "model", "channel"),
    "team": ("algorithm", "model", "channel", "env", "loss"),
    "algorithm": ("channel", "env"),
}
"""By what a setting belongs to, the kinds of components that it is tried beside."""
TURNING = ("algorithm", "model", "channel", "topology")
IN_A_ROW = 4
SHARE = 25
"""Cases that a process judges at a time."""
ONLY_IN_PLAY = {
    "mean_ratio": "where all members of a team are paid the same, their mean is what each has",
    "detach_gap": "where nothing is remembered or heard for so long, no gradient is cut",
    "bootstrap": "where every agent acts in every step, its next turn is the next step",
    "batch_mode": "where all episodes end with the rollout, it holds whole ones anyway",
    "rollout_fragment_length": "where episodes end so often, rollouts are folded to the same",
    "epsilon": "where a game has one action, there is nothing to explore",
    "self_loop": "with complete='all' one's own edge is taken, as 'forced' says",
    "threshold": "where no channel input lies between two thresholds, the same bits are said",
    "combine": "where nobody hears two messages at once, their mean is their sum",
    "value_norm_decay": "after one batch all decays agree, and a second one tells in the policies of a third update",
    "squash": "where hidden states are small, tanh leaves them nearly as they are",
}
"""Settings whose effect depends on what happens in an episode, which nobody knows before; why one may have none."""

ONCE = ("identity", "colour_digit", "multistep_digits")
"""Environments in which each agent acts once in an episode: no value comes later."""
SO_ANYWAY = {("team.normalise_values", f"algorithm={name}") for name in ("qlearning", "maac", "maddpg")} | {
    (f"training.qlearning.{name}", f"algorithm=qlearning+env={env}")
    for name in ("gamma", "target_update_every")
    for env in ONCE
}
"""Settings that say what is so anyway in some company, and are taken: Q-learning scales no values, for one."""

NOISE = With("noise", {"words": "task"})
LEWIS: Settings = {
    "objects": With("digits", {"attributes": None, "values": None}), "attributes": 3, "values": 4,
    "objects_seed": With(1, {"split": "train"}), "split": "train", "held_out": With("values", {"split": "train"}),
    "held_out_share": With(0.5, {"split": "train"}), "listeners": 2, "rounds": 2, "exchange": True,
    "observation": With("image", {"objects": "digits", "attributes": None, "values": None}),
}  # fmt: skip
PARTICLES: Settings = {"steps": 3, "continuous_actions": True}
NAMED_BY = {"continuous_actions": "action space"}
"""How a refusal names what a setting of an environment comes to, where it cannot know of the setting."""
VALUES: dict[str, dict[str, Settings]] = {
    "env": {
        "predator_prey": {"size": 4, "predators": 2, "steps": 3, "vision": 1, "mode": "cooperative"},
        "speaker_listener": {"goals": 4, "rounds": 3, "observation": "image"},
        "identity": {"values": 3},
        "levers": {"levers": 4, "pool": 6, "repeats": True},
        "switch_riddle": {"prisoners": 4, "horizon": 5},
        "traffic_junction": {
            "difficulty": "medium", "cars": 4, "steps": 3, "p_arrive": 0.3, "vision": 1, "faithful": True,
        },
        "combat": {"soldiers": 4, "size": 7, "steps": 3, "vision": 2, "dispersion": 1},
        "graph_colouring": {"agents": 7, "degree": 3, "colours": 3, "steps": 2, "turn": 0.5},
        "colour_digit": {"team_reward": "sum", "split": "test", "observation": "image"},
        "multistep_digits": {"steps": 3, "split": "test", "observation": "image"},
        "reconstruction": {**LEWIS, "reward": "share"},
        "discrimination": {
            **LEWIS, "candidates": 4, "distractors": "similar",
            "differing": With(2, {"distractors": "similar", "attributes": 3, "differing": 1}),
            "views": With("other", {"objects": "digits", "attributes": None, "values": None}),
        },
        "classification": {**LEWIS, "class_attribute": 1},
        "mpe_adversary": {**PARTICLES, "agents": 3},
        "mpe_crypto": {**PARTICLES, "words": "task", "heard": NOISE},
        "mpe_push": PARTICLES,
        "mpe_reference": {**PARTICLES, "local_ratio": 0.1, "words": "task", "heard": NOISE},
        "mpe_speaker_listener": {**PARTICLES, "words": "task", "heard": NOISE},
        "mpe_spread": {**PARTICLES, "agents": 4, "local_ratio": 0.1},
        "mpe_tag": {**PARTICLES, "adversaries": 2, "good": 2, "obstacles": 1},
        "mpe_world_comm": {
            **PARTICLES, "adversaries": 3, "good": 1, "obstacles": 2, "food": 1, "forests": 1, "words": "task",
            "heard": NOISE,
        },
        "rover_tower": {**PARTICLES, "pairs": 3, "landmarks": 2, "words": "task", "heard": NOISE},
        "treasure_collection": {**PARTICLES, "hunters": 4, "banks": 2, "rules": "code"},
    },
    "channel": {
        "dru": {
            "bits": 3, "sigma": 1.0, "threshold": 0.3, "limit": 0.5,
            "start_limit": With(5.0, {"anneal_env_steps": 100}),
            "anneal_env_steps": With(1000, {"start_limit": 5.0, "anneal_env_steps": 100}),
        },
        "symbols": {
            "vocabulary": 5, "length": 2, "gradient": "straight_through",
            "temperature": With(2.0, {"gradient": "gumbel"}),
            "final_temperature": With(0.5, {"gradient": "gumbel", "anneal_env_steps": 100}),
            "anneal_env_steps": With(
                1000, {"gradient": "gumbel", "anneal_env_steps": 100, "final_temperature": 0.5}
            ),
            "eos": True, "spelling": "lstm", "spelling_size": With(12, {"spelling": "gru", "spelling_size": 8}),
        },
        "continuous": {"size": 5, "noise_std": 0.5, "gradient": "score", "squash": "none"},
        "vq": {"codes": 8, "size": 4, "length": 2, "noise_std": 0.5, "temperature": 0.5},
        "noisy": {"flip": 0.3, "heard_sigma": 0.5},
        "lossy": {"drop": 0.5},
        "delayed": {"steps": 2},
        "limited": {"max_messages": 2, "max_bits": With(2.5, {"max_messages": 3})},
        "gated": {},
        "garbled": {},
        "relabelled": {"share": 0.5},
        "none": {},
    },
    "topology": {
        "ring": {"reach": 2}, "random": {"degree": 2, "seed": 1}, "grid": {"columns": 3, "wrap": True},
        "radius": {"radius": 0.5, "at_most": 1}, "nearest": {"number": 2},
        "given": {"mask": [[abs(hearer - sender) == 1 for sender in range(4)] for hearer in range(4)]},
        "full": {}, "exponential": {}, "none": {}, "self_only": {},
    },
    "model": {
        "feedforward": {"size": 12, "last_action": True, "heard_layer": 1},
        "cnet": {
            "size": 12, "layers": 2, "message_norm": "none", "initialisation": "uniform", "own_message": True,
            "observation_layers": 2, "message_gain": 2.0,
        },
        "commnet": {"size": 12, "core": "rnn", "rounds": 2, "combine": "sum", "skip": With(False, {"core": "mlp"})},
        "ic3net": {"size": 12},
        "tarmac": {
            "size": 12, "signature_size": 8, "value_size": 8, "timing": "same_step",
            "rounds": With(2, {"timing": "same_step"}),
        },
        "gacomm": {
            "size": 12, "hard_size": 12, "key_size": 8, "value_size": 8, "hard_attention": "pairwise",
            "values": "hidden", "temperature": 0.5,
        },
        "magic": {
            "size": 12, "heads": 4, "rounds": 1, "encoder_size": 8, "encoder_heads": 1, "complete": "first",
            "self_loop": "forced", "normalise": "offered", "coders": "both", "temperature": 0.5,
        },
        "graph_attention": {"size": 12, "heads": 4, "rounds": 2},
        "mean_field": {"size": 12}, "silent": {"size": 12}, "full_information": {"size": 12},
    },
    "loss": {
        "reconstruction": {"size": 12}, "state_estimation": {"size": 12}, "imitation": {}, "message_cost": {},
        "positive_signalling": {"marginal": 0.5, "target_nats": 0.5, "max_messages": None},
    },
}  # fmt: skip
"""Other values of every setting of every component, by kind and name; None: not walked, as it only bounds what may
be asked for, or changes seconds alone."""
EVERY_ENV = {"time_limit": 3, "talk_steps": 1}
TEAM: Settings = {
    "networks": "separate", "critic": "hidden+state", "critic_size": 16, "normalise_observations": True,
    "normalise_rewards": True, "normalise_values": False, "freeze_team": True,
}  # fmt: skip
OFF_POLICY: Settings = {
    "lr": 1e-3, "gamma": 0.5, "tau": 0.1, "q_size": 16, "replay_env_steps": 24, "env_steps_per_update": 4,
    "num_steps_sampled_before_learning_starts": 40, "logit_penalty": 1.0, "grad_clip": 1e-6,
    "grad_clip_by": With("value", {"grad_clip": 1e-6}), "train_batch_size_per_learner": 24,
    "num_envs_per_env_runner": 16, "rollout_fragment_length": 3,
}  # fmt: skip
TRAINING: dict[str, Settings] = {
    "ppo": {
        "lr": 1e-2, "gamma": 0.5, "lambda_": 0.5, "clip_param": 1e-4, "entropy_coeff": 0.5,
        "message_entropy_coeff": 0.5, "vf_loss_coeff": 2.0, "normalise_advantages": False, "mean_ratio": 1.0,
        "detach_gap": 2, "target_kl": 1e-12, "grad_clip": 1e-3, "grad_clip_by": With("value", {"grad_clip": 1e-3}),
        "train_batch_size_per_learner": 64, "num_epochs": 3, "minibatch_size": 32, "num_envs_per_env_runner": 16,
        "rollout_fragment_length": 3, "batch_mode": "complete_episodes", "compile": None,
    },
    "a2c": {
        "lr": 1e-2, "gamma": 0.5, "lambda_": 0.5, "entropy_coeff": 0.5, "message_entropy_coeff": 0.5,
        "vf_loss_coeff": 2.0, "normalise_advantages": False, "mean_ratio": 1.0, "detach_gap": 2,
        "optimizer_name": "adam", "rms_decay": 0.5, "rms_epsilon": 1e-2, "loss_mean": "env_step", "grad_clip": 1e-3,
        "grad_clip_by": With("value", {"grad_clip": 1e-3}), "train_batch_size_per_learner": 64,
        "num_envs_per_env_runner": 16, "rollout_fragment_length": 3, "batch_mode": "complete_episodes",
    },
    "qlearning": {
        "lr": 1e-2, "gamma": 0.5, "epsilon": 0.9, "target_update_every": 5, "momentum": 0.1, "rms_decay": 0.5,
        "bootstrap": "step", "message_bootstrap": "average", "mixing": "vdn", "grad_clip": 1e-5,
        "grad_clip_by": With("global_norm", {"grad_clip": 1e-5}),
        "num_envs_per_env_runner": 16, "rollout_fragment_length": 3,
    },
    "maac": {
        **OFF_POLICY, "entropy_coeff": 0.5, "attention": "uniform", "attention_heads": 2, "attention_penalty": 1.0,
        "standardise_rewards": False, "critic_grad_clip": 1e-6, "critic_weight_decay": 1.0,
    },
    "maddpg": {**OFF_POLICY, "temperature": 0.2},
    "mappo": {
        "lr": 1e-2, "gamma": 0.5, "lambda_": 0.5, "clip_param": 1e-4, "clip_values": False, "huber_delta": 1e-3,
        "value_norm_decay": 0.5, "entropy_coeff": 0.5, "message_entropy_coeff": 0.5, "vf_loss_coeff": 2.0,
        "normalise_advantages": False, "mean_ratio": 1.0, "detach_gap": 2, "target_kl": 1e-12, "grad_clip": 1e-3,
        "grad_clip_by": With("value", {"grad_clip": 1e-3}), "train_batch_size_per_learner": 64, "num_epochs": 3,
        "minibatch_size": 32, "num_envs_per_env_runner": 16, "rollout_fragment_length": 3,
        "batch_mode": "complete_episodes",
    },
}  # fmt: skip


@dataclasses.dataclass(frozen=True, kw_only=True)
class Case:
    """One setting in one company: `base` and `changed` are whole training settings that differ in it alone."""

    setting: str
    company: str
    base: Settings
    changed: Settings

    @property
    def key(self) -> str:
        """What to call it."""
        return f"{self.setting} [{self.company}]"


# ---- cases ----------------------------------------------------------------------------------------------------


def company(**names: str) -> Settings:
    """A tiny team of named components; those that are not named are usual."""
    chosen = {"env": "predator_prey", "model": "feedforward", "channel": "dru", "topology": "full", "algorithm": "ppo"}
    chosen |= {kind: name for kind, name in names.items() if kind != "loss"}
    channel, channel_settings = CHANNELS.get(chosen["channel"], (chosen["channel"], {}))
    settings: Settings = {
        "env": chosen["env"], "env_settings": ENVS.get(chosen["env"], {}),
        "model": chosen["model"].partition("-")[0],
        "model_settings": {**MODELS, **QUIET}.get(chosen["model"], {}),
        "channel": channel, "channel_settings": channel_settings,
        "topology": chosen["topology"], "topology_settings": TOPOLOGIES.get(chosen["topology"], {}),
        "algorithm": chosen["algorithm"], "algorithm_settings": ALGORITHMS[chosen["algorithm"]], "seed": SEED,
    }  # fmt: skip
    if "loss" in names:
        settings["losses"] = [[names["loss"], 1.0, LOSSES[names["loss"]]]]
    return settings


def cases() -> Iterator[Case]:
    """Every setting in the company of every component of the other kinds, one at a time, and of every algorithm."""
    for setting, home, section, name, value in _settings():
        for others in _companies(home):
            yield _case(setting, {**home, **others}, section, name, value)


def _settings() -> Iterator[tuple[str, dict[str, str], str, str, Any]]:
    """Each setting: its name, the components that it needs, its section, its key there, and another value."""
    for kind in ("env", "channel", "topology", "model"):
        for component, values in VALUES[kind].items():
            for key, value in {**values, **(EVERY_ENV if kind == "env" else {})}.items():
                yield f"{kind}.{component}.{key}", {kind: component}, f"{kind}_settings", key, value
    for component, values in VALUES["loss"].items():
        for key in (key for key, value in values.items() if value is not None):
            yield f"loss.{component}.{key}", {"loss": component}, "losses", key, values[key]
    for key, value in TEAM.items():
        yield f"team.{key}", {}, "", key, value
    for algorithm, values in TRAINING.items():
        for key, value in ((key, value) for key, value in values.items() if value is not None):
            yield f"training.{algorithm}.{key}", {"algorithm": algorithm}, "algorithm_settings", key, value


def _companies(home: Mapping[str, str]) -> Iterator[dict[str, str]]:
    yield {}
    for kind in BESIDE[next(iter(home), "team")]:
        yield from ({kind: name} for name in KINDS[kind])


def _case(setting: str, names: dict[str, str], section: str, key: str, value: Any) -> Case:
    base = company(**names)
    needs: Settings = {}
    if isinstance(value, With):
        value, needs = value.value, value.base
    if not section:
        changed = {**base, key: value}
    elif section == "losses":
        (name, coefficient, own), *_ = base["losses"]
        changed = {**base, "losses": [[name, coefficient, {**own, key: value}]]}
    else:
        base = {**base, section: {**base[section], **needs}}
        changed = {**base, section: {**base[section], key: value}}
    others = "+".join(f"{kind}={name}" for kind, name in names.items())
    return Case(setting=setting, company=others, base=base, changed=changed)


# ---- outcomes -------------------------------------------------------------------------------------------------


class Walk:
    """Judges cases; what a company comes to without the setting is trained once."""

    def __init__(self) -> None:
        self._known: dict[str, Updates] = {}

    def outcome(self, case: Case) -> tuple[str, str]:
        """EFFECT, REFUSED or NOTHING, and the words of a refusal; a company that is refused itself counts as none."""
        try:
            before = self._updates_of(case.base)
            before.fingerprint(1)
        except ValueError as error:
            return "no such company", str(error)
        try:
            after = Updates(case.changed)
            differ = any(after.fingerprint(number) != before.fingerprint(number) for number in range(1, UPDATES + 1))
        except ValueError as error:
            return REFUSED, str(error)
        return (EFFECT if differ else NOTHING), ""

    def _updates_of(self, settings: Settings) -> "Updates":
        return self._known.setdefault(json.dumps(settings, sort_keys=True, default=str), Updates(settings))


class Updates:
    """The first updates of a training, made when they are asked for.

    Settings that are refused raise their ValueError each time.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._trainer: LocalTrainer | None = None
        self._refusal: ValueError | None = None
        self._fingerprints: list[str] = []

    def fingerprint(self, number: int) -> str:
        """All bits of the weights after that many updates, and after the last of what is said and done then."""
        if self._refusal is not None:
            raise self._refusal
        while len(self._fingerprints) <= number:
            try:
                self._fingerprints.append(self._next())
            except ValueError as error:
                self._refusal = error
                raise
        if len(self._fingerprints) > UPDATES:  # all that will be asked for
            self._trainer = None
        return self._fingerprints[number]

    def _next(self) -> str:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            if self._trainer is None:
                self._trainer = LocalTrainer(config_of(settings_from(self._settings)))
            else:
                self._trainer.train()
            return fingerprint(self._trainer, plays=len(self._fingerprints) == UPDATES)


def fingerprint(trainer: LocalTrainer, *, plays: bool) -> str:
    """All bits of the weights, and of what is said and done where it plays."""
    found = hashlib.sha256()
    for name, weight in trainer.team.named_parameters():
        found.update(name.encode() + weight.detach().numpy().tobytes())
    for tensor in _played(trainer) if plays else ():
        found.update(str(tuple(tensor.shape)).encode() + tensor.contiguous().numpy().tobytes())
    return found.hexdigest()


def _played(trainer: LocalTrainer) -> list[Tensor]:
    sampler = trainer.env_runner.sampler
    assert sampler is not None
    trainer.team.eval()
    with torch.no_grad():
        played = sampler.fragment(4, choice=Choice.GREEDY, form=MessageForm.EXECUTION)
    return [played.rewards, *played.actions.values(), *(message.payload for message in played.messages)]


def uncovered() -> list[str]:
    """Settings of components and algorithms that no case walks: there should be none."""
    found = []
    for kind, components in VALUES.items():
        for name in registry.names(kind):
            if name == "scripted":
                continue
            known = {*components.get(name, {}), *EVERY_ENV, *DECIDED_ELSEWHERE, "mnist_dir"}
            taken = registry.settings_of(registry.load(kind, name))
            found += [f"{kind}.{name}.{key}" for key in taken if key not in known]
    for name, values in TRAINING.items():
        training = registry.load("algorithm", name).training
        known = {*values, "kwargs"}
        found += [f"training.{name}.{key}" for key in registry.settings_of(training) if key not in known]
    return found


def covering() -> Iterator[tuple[Case, Case]]:
    """Each setting in a company of which every component is another in turn, and in its usual one.

    `IN_A_ROW` settings have one company, which is trained once for all of them where they are of one component.
    """
    for index, (setting, home, section, name, value) in enumerate(_settings()):
        turn = index // IN_A_ROW
        turns = {kind: KINDS[kind][(turn + shift) % len(KINDS[kind])] for shift, kind in enumerate(TURNING)}
        usual = _case(setting, home, section, name, value)
        yield _case(setting, {**turns, **home}, section, name, value), usual


def judged(chosen: list[Case]) -> list[tuple[Case, str, str]]:
    """Outcomes of cases, in their order."""
    torch.set_num_threads(1)
    walk = Walk()
    return [(case, *walk.outcome(case)) for case in chosen]


def is_fault(case: Case, outcome: str, told: str) -> bool:
    """Whether a setting changes nothing and nobody says so, or the refusal names another one."""
    name = case.setting.rpartition(".")[2]
    if outcome == NOTHING:
        return name not in ONLY_IN_PLAY and not _is_so_anyway(case)
    return outcome == REFUSED and NAMED_BY.get(name, name) not in told


def _is_so_anyway(case: Case) -> bool:
    company = set(case.company.split("+"))
    return any(case.setting == setting and company >= set(among.split("+")) for setting, among in SO_ANYWAY)


def main() -> None:
    """Walk all cases, print those without effect, and write the outcomes."""
    parser = argparse.ArgumentParser(description=str(__doc__).split("\n")[0])
    parser.add_argument("--out", type=pathlib.Path)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("--only", default="", help="settings that begin so")
    parser.add_argument("--covering", action="store_true", help="each setting twice alone, much as the tests do")
    given = parser.parse_args()
    started, found = time.perf_counter(), []
    every = itertools.chain.from_iterable(covering()) if given.covering else cases()
    chosen = [case for case in every if case.setting.startswith(given.only)]
    shares = [chosen[i : i + SHARE] for i in range(0, len(chosen), SHARE)]
    with concurrent.futures.ProcessPoolExecutor(given.jobs, mp_context=multiprocessing.get_context("spawn")) as pool:
        for share in pool.map(judged, shares):
            found += share
            for case, outcome, told in share:
                if outcome == NOTHING or is_fault(case, outcome, told):
                    print(outcome, case.key, told[:200], flush=True)
    if given.out is not None:
        write_json(given.out, _result(found, time.perf_counter() - started, covering=given.covering))


def _result(found: list[tuple[Case, str, str]], seconds: float, *, covering: bool) -> Settings:
    commit = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, check=True).stdout.strip()
    versions = {"python": platform.python_version(), "torch": torch.__version__, "ray": ray.__version__}
    refusals = collections.Counter(f"{case.setting}: {told}" for case, outcome, told in found if outcome == REFUSED)
    in_play = collections.Counter(c.setting for c, outcome, told in found if outcome == NOTHING)
    return {
        "command": f"OMP_NUM_THREADS=1 python benchmarks/settings.py{' --covering' * covering} --out {RESULT}",
        "commit": commit,
        "versions": {"heliograph": importlib.metadata.version("heliograph"), **versions},
        "seconds": round(seconds),
        "settings": len({case.setting for case, *_ in found}),
        "outcomes": dict(sorted(collections.Counter(outcome for _, outcome, _ in found).items())),
        "faults": [case.key for case, outcome, told in found if is_fault(case, outcome, told)],
        "without_effect_in_play": dict(sorted(in_play.items())),
        "refusals": dict(sorted(refusals.items())),
    }


if __name__ == "__main__":
    main()
