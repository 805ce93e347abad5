"""A run folder: what training leaves behind, and how evaluation reads it without executing anything of it (no ray).

`config.json` (the resolved experiment), `team.safetensors` (weights), `progress.csv`, `summary.json`, TensorBoard files
and `checkpoints/` (RLlib's own, cloudpickle: only `--resume` opens them).
"""

import dataclasses
import json
import pathlib
from typing import Any

import pydantic
import safetensors
import safetensors.torch
from torch import Tensor

from heliograph.durable import replacing, telling
from heliograph.experiment import EnvChoice, EnvFacts, TeamChoices, build_env, build_team, facts_of
from heliograph.models.team import Team

FORMAT_VERSION = 1
CONFIG, WEIGHTS, SUMMARY, PROGRESS = "config.json", "team.safetensors", "summary.json", "progress.csv"


class RunFolderError(ValueError):
    """A run folder that is missing, damaged, foreign, or would execute code that nobody vouched for."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Run:
    """A trained team as read from its folder."""

    folder: pathlib.Path
    config: dict[str, Any]
    env: EnvChoice
    choices: TeamChoices
    facts: EnvFacts
    team: Team


def write_json(path: pathlib.Path, content: Any) -> None:
    """Write JSON so that the file is either the old or the new one, never half."""
    text = json.dumps(content, indent=2, sort_keys=True, default=plain) + "\n"
    with telling(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as draft:
        draft.write_text(text, encoding="utf8")


def plain(value: Any) -> Any:
    """A JSON form of what is not JSON: importable objects by their import path, structures as dicts."""
    if hasattr(value, "model_dump"):
        return value.model_dump()
    if hasattr(value, "__qualname__") and "<" not in value.__qualname__ and value.__module__ != "__main__":
        return f"{value.__module__}:{value.__qualname__}"
    if isinstance(value, (set, frozenset, tuple)):
        return sorted(value) if isinstance(value, (set, frozenset)) else list(value)
    if hasattr(value, "item"):
        return value.item()
    return {"not_json": repr(value)}


def write_team(folder: pathlib.Path, team: Team) -> None:
    """Write the weights and buffers of a team, atomically."""
    with telling(folder):
        folder.mkdir(parents=True, exist_ok=True)
    tensors = {name: value.detach().cpu().contiguous().clone() for name, value in team.state_dict().items()}
    content = safetensors.torch.save(tensors, metadata={"format_version": str(FORMAT_VERSION)})
    with replacing(folder / WEIGHTS) as draft:
        draft.write_bytes(content)


def write_config(folder: pathlib.Path, *, env: EnvChoice, choices: TeamChoices, **more: Any) -> None:
    """Write the resolved configuration."""
    content = {"format_version": FORMAT_VERSION, "env": env, "team": choices, **more}
    write_json(folder / CONFIG, content)


def read_run(folder: str | pathlib.Path, *, trust: bool = False) -> Run:
    """Read a trained team. Names that would import code outside Heliograph are refused unless `trust`."""
    folder = pathlib.Path(folder)
    config = read_config(folder)
    try:
        env, choices = EnvChoice(**config["env"]), TeamChoices(**config["team"])
        _refuse_foreign_code(folder, config, trust=trust)
        facts = facts_of(build_env(env, num_copies=1))
        team = build_team(choices, facts, seed=0)
    except RunFolderError:
        raise
    except (ValueError, TypeError) as error:
        raise RunFolderError(f"{folder / CONFIG} describes no team that can be built: {_sentence(error)}") from error
    tensors = _read_weights(folder / WEIGHTS)
    _check_tensors(folder, team, tensors)
    team.load_state_dict(tensors)
    team.eval()
    return Run(folder=folder, config=config, env=env, choices=choices, facts=facts, team=team)


def read_config(folder: pathlib.Path) -> dict[str, Any]:
    """The resolved configuration of a run folder."""
    path = pathlib.Path(folder) / CONFIG
    try:
        config = json.loads(path.read_text(encoding="utf8"))
    except FileNotFoundError:
        raise RunFolderError(f"{folder} is no run folder: it has no {CONFIG}") from None
    except (json.JSONDecodeError, UnicodeDecodeError, OSError) as error:
        raise RunFolderError(f"{path} cannot be read: {error}") from error
    if not isinstance(config, dict) or config.get("format_version") != FORMAT_VERSION:
        version = config.get("format_version") if isinstance(config, dict) else None
        raise RunFolderError(f"{path} has format_version {version!r}: this Heliograph reads {FORMAT_VERSION}")
    for key in ("env", "team"):
        if not isinstance(config.get(key), dict):
            raise RunFolderError(f"{path} lacks {key!r}: not written by Heliograph, or damaged")
    return config


def _read_weights(path: pathlib.Path) -> dict[str, Tensor]:
    try:
        return safetensors.torch.load_file(str(path))
    except FileNotFoundError:
        raise RunFolderError(f"{path.parent} has no {path.name}: training had not finished an iteration") from None
    except (safetensors.SafetensorError, OSError) as error:
        raise RunFolderError(f"{path} is damaged or no safetensors file: {error}") from error


def _check_tensors(folder: pathlib.Path, team: Team, tensors: dict[str, Tensor]) -> None:
    expected = team.state_dict()
    missing, unknown = sorted(set(expected) - set(tensors)), sorted(set(tensors) - set(expected))
    if missing or unknown:
        raise RunFolderError(f"{folder / WEIGHTS} does not fit {CONFIG}: lacks {missing[:3]}, has also {unknown[:3]}")
    for name, value in tensors.items():
        if value.shape != expected[name].shape:
            shape, asked = tuple(value.shape), tuple(expected[name].shape)
            raise RunFolderError(f"{folder / WEIGHTS}: {name} has shape {shape}, {CONFIG} asks {asked}")


def _sentence(error: Exception) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return " ".join(str(error).split())


def _refuse_foreign_code(folder: pathlib.Path, config: dict[str, Any], *, trust: bool) -> None:
    for where, name in _names(config):
        if isinstance(name, dict) and "not_json" in name:
            was = name["not_json"]
            raise RunFolderError(f"{folder / CONFIG}: {where} was a Python object ({was}); build it in Python")
        if isinstance(name, str) and ":" in name and not trust:
            raise RunFolderError(
                f"{folder / CONFIG}: {where}={name!r} would import code; if you trust it, say so (trust=True, --trust)"
            )


def _names(config: dict[str, Any]) -> list[tuple[str, Any]]:
    team = config["team"]
    found = [("env", config["env"].get("env"))]
    found += [(f"env.{k}", v) for k, v in (config["env"].get("settings") or {}).items()]
    found += [(key, team.get(key)) for key in ("model", "channel", "topology")]
    policies = team.get("policies") or {}
    settings = [(k, team.get(k) or {}) for k in ("model_settings", "channel_settings", "topology_settings")]
    for name, policy in policies.items():
        found.append((f"policies.{name}.model", policy.get("model")))
        settings.append((f"policies.{name}", policy.get("model_settings") or {}))
    return found + [(f"{where}.{k}", v) for where, values in settings for k, v in values.items()]
