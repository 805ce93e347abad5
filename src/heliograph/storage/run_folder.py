"""A run folder: what training leaves behind, and how evaluation reads it without executing anything of it (no ray).

`config.json` (the resolved experiment), `team.safetensors` (weights), `progress.csv`, `summary.json`, TensorBoard files
and `checkpoints/` (RLlib's own, cloudpickle: only `--resume` opens them).
"""

import dataclasses
import hashlib
import importlib
import json
import pathlib
from collections.abc import Iterator, Mapping
from typing import Any

import pydantic
import torch
from gymnasium.spaces.utils import flatdim
from torch import Tensor

from heliograph.experiments.choices import (
    COUNTS_OF_STEPS,
    EnvChoice,
    EnvFacts,
    TeamChoices,
    build_team,
    facts_for,
    outline,
)
from heliograph.experiments.older_defaults import FORMAT_VERSION, FORMATS, brought_up
from heliograph.importing import file_of, import_path, module_of
from heliograph.memory import at_most, is_exhausted
from heliograph.recipes.pretrained import card_of, comes_with_us, located
from heliograph.renamed import present_weights
from heliograph.storage.provenance import is_own_module, names_in, relocated, told_changes, whence
from heliograph.storage.safe_files import (
    CHECKSUM,
    VERSION,
    Outline,
    RunFolderError,
    TensorFile,
    make_folder,
    open_tensors,
    parse_json,
    read_json,
    write_tensors,
    write_text,
)
from heliograph.storage.trusted import UntrustedError, changed_files, is_trusted, remember
from heliograph.team.alone import LoneAgent
from heliograph.team.team import Team
from heliograph.texts import cut, one_line
from heliograph.types import Choice

CONFIG, WEIGHTS, SUMMARY, PROGRESS = "config.json", "team.safetensors", "summary.json", "progress.csv"
TEAM = "heliograph_team"
"""Key of a team file's metadata that holds its configuration, as JSON."""
STORED, HALF = "stored_as", "float16"
"""Key and value in that configuration where weights are stored in half precision, to be read as single."""
MAX_SIZE = 100_000
MAX_ENV_BYTES = 2_000_000_000
"""What a stranger's environment may take, of which one copy is built before anything of its team is compared."""
MAX_STEPS, MAX_FEATURES = 10_000, 1_000_000
RLLIB_CHECKPOINT = "rllib_checkpoint.json"
OF_CHECKPOINTS = "heliograph.rllib.runs.saved"
"""What reads checkpoints: looked up by name where it is needed, since it stands above this."""
PARTS, MAX_PARTS = ("layers", "rounds", "heads"), 1000
"""Settings that count what takes time though it need not take memory."""
TRUST = "if you trust it, say so (trust=True, --trust)"
VAGUE = (KeyError, IndexError, AttributeError)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A trained team as read from its folder, or from a team file (then `folder` is where that lies)."""

    folder: pathlib.Path
    source: pathlib.Path | None = None
    config: dict[str, Any]
    env: EnvChoice
    choices: TeamChoices
    facts: EnvFacts
    team: Team

    @property
    def place(self) -> str:
        """Return what messages call it: where it was read from."""
        return str(self.source or self.folder)

    @property
    def algorithm(self) -> str | None:
        """Return what trained it; None where that is not recorded."""
        training = self.config.get("training")
        return training.get("algorithm") if isinstance(training, dict) else None

    @property
    def has_odds(self) -> bool:
        """True if its outputs are logits, which can be sampled; those of Q-learning are values."""
        return self.algorithm != "qlearning"

    def agent(self, name: str, *, choice: Choice = Choice.GREEDY) -> LoneAgent:
        """One agent of the team by itself, for use outside of it: see `LoneAgent`."""
        if choice is Choice.SAMPLED and not self.has_odds:
            raise ValueError("choice=SAMPLED: a team trained by Q-learning has values of actions, not odds")
        return LoneAgent(self.team, name, choice=choice)

    def in_env(self, settings: Mapping[str, Any]) -> "Run":
        """The same team in its environment with some settings changed: other images, other odds, a longer episode.

        Raises `RunFolderError` where agents would see or do something else than they were built for.
        """
        env = EnvChoice(env=self.env.env, settings={**self.env.settings, **settings})
        facts = facts_for(env)
        if facts.roles != self.facts.roles:
            changed = ", ".join(f"{key}={value}" for key, value in settings.items())
            raise RunFolderError(f"{changed}: agents, observations or actions would not be those of {self.place}")
        return dataclasses.replace(self, env=env, facts=facts)


def write_json(path: pathlib.Path, content: Any) -> None:
    """Write JSON so that the file is either the old or the new one, never half."""
    make_folder(path.parent)
    write_text(path, json.dumps(content, indent=2, sort_keys=True, default=plain) + "\n")


def plain(value: Any) -> Any:
    """A JSON form of what is not JSON: importable objects by their import path, structures as dicts."""
    for method in ("model_dump", "as_plain"):
        if hasattr(value, method) and not isinstance(value, type):
            return getattr(value, method)()
    if (name := import_path(value)) is not None:
        return name
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    if hasattr(value, "item"):
        return value.item()
    return {"not_json": repr(value)}


def write_team(folder: pathlib.Path, team: Team) -> None:
    """Write the weights and buffers of a team, atomically."""
    make_folder(folder)
    write_tensors(folder / WEIGHTS, team.state_dict(), metadata={VERSION: str(FORMAT_VERSION)})


def write_config(folder: pathlib.Path, *, env: EnvChoice, choices: TeamChoices, **more: Any) -> None:
    """Write the resolved configuration, and a checksum of it."""
    rewrite_config(folder, {VERSION: FORMAT_VERSION, "env": env, "team": choices, **more})


def rewrite_config(folder: pathlib.Path, content: Mapping[str, Any]) -> None:
    """Write a configuration that was read and changed, with its new checksum."""
    told = json.loads(json.dumps(content, default=plain))
    write_json(folder / CONFIG, {**told, CHECKSUM: _digest(told)})


def _digest(config: Mapping[str, Any]) -> str:
    own = {key: value for key, value in config.items() if key != CHECKSUM}
    return hashlib.sha256(json.dumps(own, sort_keys=True).encode()).hexdigest()


def read_run(folder: str | pathlib.Path, *, trust: bool = False) -> Run:
    """Read a trained team from its run folder, from a team file (see `heliograph.storage.team_file`), or "recipe:NAME".

    Nothing of it is executed. Names that would import code outside Heliograph are refused unless `trust`, and so are
    checkpoints of RLlib's (`algo.save_to_path`), since reading their pickles can execute anything.
    """
    source = located(folder)
    if (source / RLLIB_CHECKPOINT).is_file() and not (source / CONFIG).exists():
        if not trust:
            raise RunFolderError(f"{source} is an RLlib checkpoint, whose pickles can execute code; {TRUST}")
        run: Run = importlib.import_module(OF_CHECKPOINTS).run_of_checkpoint(source)
        return run
    if source.is_file():
        config, stored = open_team_file(source)
        if comes_with_us(source):
            config = {**config, "training": card_of(source)["training"]}
    else:
        config = relocated(read_config(source))
        check_trusted_names(source, config, trust=trust)
        stored = open_weights(source / WEIGHTS)
    config = relocated(config)
    if not isinstance(config.get("env"), dict):
        raise RunFolderError(f"{source} holds a policy and no team: load it with --load-policy NAME={source}")
    check_trusted_names(source, config, trust=trust)
    env, choices, facts, team = _build(source, config, stored, trust=trust)
    told_changes(source, config)
    remember_code(config)
    place = source.parent if source.is_file() else source
    return Run(folder=place, source=source, config=config, env=env, choices=choices, facts=facts, team=team)


def _build(
    source: pathlib.Path, config: dict[str, Any], stored: TensorFile, *, trust: bool
) -> tuple[EnvChoice, TeamChoices, EnvFacts, Team]:
    """Build what a configuration describes: first without memory, to see that it is as large as its weights."""
    try:
        env, choices = EnvChoice(**config["env"]), TeamChoices(**config["team"])
        facts = facts_for(env) if trust else refuse_large(source, env, config)
        expected = outline(choices, facts)
        check_fit(_outlines(config, stored), expected, what=f"{source} holds weights that do not fit its configuration")
        tensors = weights_in(config, stored)
        team = build_team(choices, facts, seed=0)
        team.load_state_dict(tensors)
        return env, choices, facts, team.eval()
    except RunFolderError:
        raise
    except Exception as error:  # whatever a stranger's settings bring about
        told = _told(source, config, error)
        raise RunFolderError(f"{source} describes no team that can be built: {told}") from error


def refuse_large(source: pathlib.Path, env: EnvChoice, config: Mapping[str, Any] | None = None) -> EnvFacts:
    """Facts that a team must know of a stranger's environment.

    Refused where it would fill memory or keep one for hours.
    """
    try:
        with at_most(MAX_ENV_BYTES):
            facts = facts_for(env)
    except Exception as error:  # whatever a stranger's settings bring about
        if is_exhausted(error):
            raise RunFolderError(f"{source}: its environment takes {MAX_ENV_BYTES:,} bytes or more; {TRUST}") from error
        told = _told(source, config or {}, error)
        raise RunFolderError(f"{source} describes no environment that can be built: {told}") from error
    features = sum(flatdim(role.observation_space) * len(role.agents) for role in facts.roles)
    for what, found, most in (
        ("its episodes last up to {} env steps", facts.horizon or 0, MAX_STEPS),
        ("its agents see {} numbers in a step", features, MAX_FEATURES),
    ):
        if found > most:
            raise RunFolderError(f"{source}: {what.format(f'{found:,}')}, more than {most:,}; {TRUST}")
    return facts


def open_team_file(path: pathlib.Path) -> tuple[dict[str, Any], TensorFile]:
    """The configuration in a team file, and its weights, not read yet; raises `RunFolderError` where it is none."""
    stored = open_tensors(path)
    if TEAM not in stored.metadata:
        raise RunFolderError(f"{path} is no team file: heliograph export writes one from a run folder")
    config = parse_json(stored.metadata[TEAM], where=f"the description in {path}")
    version = _version(path, config)
    return _with_parts(path, _present(config, version), ("team",)), stored


def weights_in(config: dict[str, Any], stored: TensorFile) -> dict[str, Tensor]:
    """Weights as they are used; raises `RunFolderError` where they are damaged, or no numbers."""
    tensors = present_weights(stored.read())
    for name, value in tensors.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise RunFolderError(f"{stored.path}: {cut(name)} holds NaN or infinity: no such team can play; train anew")
    return {key: value.float() if _is_half(config, value) else value for key, value in tensors.items()}


def _outlines(config: dict[str, Any], stored: TensorFile) -> dict[str, Outline]:
    """Return what tensors are when they are read."""
    return {
        key: dataclasses.replace(value, dtype=torch.float32) if _is_half(config, value) else value
        for key, value in present_weights(stored.outlines).items()
    }


def _is_half(config: dict[str, Any], value: Tensor | Outline) -> bool:
    return config.get(STORED) == HALF and value.dtype is torch.half


def _version(path: pathlib.Path, config: Any) -> int:
    version: Any = config.get(VERSION) if isinstance(config, dict) else None
    if version not in FORMATS:
        told = " and ".join(map(str, FORMATS))
        raise RunFolderError(f"{path} has format_version {cut(repr(version))}: this Heliograph reads {told}")
    return int(version)


def _present(config: dict[str, Any], version: int) -> dict[str, Any]:
    """A configuration as it would be written now."""
    return {**brought_up(config, version=version), VERSION: FORMAT_VERSION}


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """The resolved configuration of a run folder."""
    path = pathlib.Path(folder) / CONFIG
    if not path.exists():
        raise RunFolderError(f"{folder} is no run folder: it has no {CONFIG}")
    config = read_json(path)
    version = _version(path, config)
    if CHECKSUM in config and config[CHECKSUM] != _digest(config):
        raise RunFolderError(
            f"{path} does not fit its checksum: it is damaged, or somebody edited it; whoever meant to, deletes the "
            f"entry {CHECKSUM!r}"
        )
    return _with_parts(path, _present(config, version), ("env", "team"))


def _with_parts(path: pathlib.Path, config: dict[str, Any], parts: tuple[str, ...]) -> dict[str, Any]:
    for key in parts:
        if not isinstance(config.get(key), dict):
            raise RunFolderError(f"{path} lacks {key!r}: not written by Heliograph, or damaged")
    return config


def open_weights(path: pathlib.Path) -> TensorFile:
    """The weights of a run folder, not read yet."""
    if not path.exists():
        raise RunFolderError(f"{path.parent} has no {path.name}: training had not finished an iteration")
    return open_tensors(path)


def check_fit(tensors: Mapping[str, Tensor | Outline], expected: Mapping[str, Tensor], *, what: str) -> None:
    """Refuse tensors whose names, shapes or dtypes are not those expected."""
    missing, unknown = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or unknown:
        lacks, has = ([cut(name) for name in names[:3]] for names in (missing, unknown))
        raise RunFolderError(f"{what}: does not fit, lacks {lacks}, has also {has}")
    for name, value in tensors.items():
        if value.shape != expected[name].shape:
            shape, asked = tuple(value.shape), tuple(expected[name].shape)
            raise RunFolderError(f"{what}: {name} has shape {shape}, the configuration asks {asked}")
        if value.dtype != expected[name].dtype:
            raise RunFolderError(f"{what}: {name} is {value.dtype}, the configuration asks {expected[name].dtype}")


def _told(source: pathlib.Path, config: Mapping[str, Any], error: Exception) -> str:
    """Return what is wrong, after where the code that is missing came from."""
    came = whence(source, config)
    return f"{came} ({_sentence(error)})" if came else _sentence(error)


def _sentence(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors()[0]
        return f"{cut('.'.join(map(str, first['loc'])))}: {cut(first['msg'])}"
    return f"{type(error).__name__}: {one_line(error)}" if type(error) in VAGUE else one_line(error)


def check_trusted_names(source: pathlib.Path, config: dict[str, Any], *, trust: bool) -> None:
    """Refuse what would import code, and sizes that no shared team has, unless the source is trusted."""
    parts = [(key, config[key]) for key in ("env", "team") if key in config]
    for where, value in (leaf for key, part in parts for leaf in _leaves(key, part)):
        key = where.rpartition(".")[2]
        if key == "not_json":
            raise RunFolderError(f"{source}: {cut(where)} was a Python object ({cut(value)}); build it in Python")
        told = f"{source}: {cut(where)}={cut(repr(value))}"
        if isinstance(value, str) and ":" in value and not trust and not all(map(is_trusted, _named(value))):
            raise _untrusted(source, config, told, value)
        most = MAX_PARTS if key in PARTS else MAX_SIZE
        large = isinstance(value, (int, float)) and abs(value) > most
        if large and not trust and not key.endswith(COUNTS_OF_STEPS):
            raise RunFolderError(f"{told} is larger than {most}; {TRUST}")


def _untrusted(source: pathlib.Path, config: dict[str, Any], told: str, value: str) -> UntrustedError:
    """Return what is said of code that nobody has trusted: whether it has changed, or is not there."""
    changed = [file for name in _named(value) for file in changed_files(name)]
    asked = untrusted_code(config)
    if any(file_of(name) is None for name in asked) and (came := whence(source, config)):
        return UntrustedError(f"{told} would import code that is not here: {came}")
    more = f" ({changed[0]} has changed since you trusted it)" if changed else ""
    return UntrustedError(f"{told} would import code{more}; {TRUST}", names=asked)


def remember_code(config: Mapping[str, Any]) -> None:
    """Remember the code that a configuration names as trusted: what it is built of, and the user's own functions."""
    remember(_code_names(config, in_settings=False))
    remember(name for name in _code_names(config, in_settings=True) if is_own_module(module_of(name)))


def untrusted_code(config: Mapping[str, Any]) -> list[str]:
    """Names of the code that a configuration would import and that nobody has trusted."""
    return [name for name in _code_names(config, in_settings=True) if not is_trusted(name)]


def _code_names(config: Mapping[str, Any], *, in_settings: bool) -> list[str]:
    """Everything that a configuration would import, as a component of its own or also in settings of one."""
    parts = [(key, config[key]) for key in ("env", "team") if key in config]
    leaves = [(where, text) for key, part in parts for where, text in _leaves(key, part) if isinstance(text, str)]
    texts = [text for where, text in leaves if ":" in text and (in_settings or _is_component(where))]
    return list(dict.fromkeys(name for text in texts for name in _named(text)))


def _is_component(where: str) -> bool:
    own_model = where.startswith("team.policies.") and where.endswith(".model") and "_settings." not in where
    return own_model or where in ("env.env", "team.model", "team.channel", "team.topology")


def _named(text: str) -> list[str]:
    return [name for name in names_in(text) if ":" in name]


def _leaves(where: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, part in value.items():
            yield from _leaves(f"{where}.{key}", part)
    elif isinstance(value, list):
        for part in value:
            yield from _leaves(where, part)
    else:
        yield where, value
