"""Sharing a trained team: one safetensors file, with its description as JSON in the metadata (no ray, no pickle).

The file of a team holds its environment, model, channel, topology and weights; that of one policy holds that policy
alone, to be loaded into a new training run. Reading either executes nothing.
"""

import dataclasses
import json
import pathlib
import re
from typing import Any

from torch import Tensor

import heliograph
from heliograph.experiments.older_defaults import FORMAT_VERSION
from heliograph.recipes.pretrained import located
from heliograph.registry import UnknownNameError
from heliograph.storage.provenance import texts_in
from heliograph.storage.run_folder import (
    CONFIG,
    HALF,
    STORED,
    TEAM,
    WEIGHTS,
    Run,
    check_fit,
    open_team_file,
    open_weights,
    plain,
    read_config,
    read_run,
    weights_in,
)
from heliograph.storage.safe_files import VERSION, RunFolderError, write_tensors
from heliograph.team.policy import Policy
from heliograph.texts import cut

SUFFIX = ".safetensors"
POLICY = "policies."
MOST_TOLD = 1000
"""Characters of what a policy was trained as."""
MEMBER = re.compile(r"_\d+$")
"""What a member of a population is called beyond its role."""
MAX_POLICY_BYTES = 2_000_000_000
"""A file may have so many where there is nothing yet that its shapes could be held against."""


@dataclasses.dataclass(frozen=True, kw_only=True, repr=False, eq=False)
class LoadedPolicy:
    """The weights of one trained policy, and what they were trained as, in words."""

    source: str
    name: str
    trained_as: str
    tensors: dict[str, Tensor]

    def __repr__(self) -> str:
        return f"LoadedPolicy({self.name!r} of {self.source})"


def export(
    folder: str | pathlib.Path,
    out: str | pathlib.Path,
    *,
    policy: str | None = None,
    overwrite: bool = False,
    trust: bool = False,
    half: bool = False,
    with_source: bool = False,
) -> pathlib.Path:
    """Write a team (or one policy of it) from its run folder to one file that can be handed on; returns its path.

    A team file, or "recipe:NAME", is copied, or one policy of it is taken. Raises `RunFolderError` where the folder is
    no run, or the file exists and is not to be replaced. `half` rounds weights to half precision, at half the size:
    evaluate the file, as it is a slightly different team. `with_source` adds the texts of your own modules that the
    run was trained with, for others to read: nothing imports them.
    """
    out = pathlib.Path(out)
    if out.suffix != SUFFIX:
        raise RunFolderError(f"{out}: the name of a team file ends in {SUFFIX}; call it {out.name}{SUFFIX}")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise RunFolderError(f"{out}: is a folder, or in one that does not exist; name a new file in one that does")
    if out.name == WEIGHTS and (out.parent / CONFIG).exists():
        raise RunFolderError(f"{out} holds the weights of a run folder: choose another name")
    if (out.exists() or out.is_symlink()) and not overwrite:
        raise RunFolderError(f"{out} exists already: choose another name, or say so (overwrite=True, --overwrite)")
    run = read_run(folder, trust=trust)
    tensors, content = dict(run.team.state_dict()), _content(run)
    if policy is not None:
        tensors, content = _only(tensors, content, policy, valid=list(run.team.layout.policies))
    if half:
        tensors = {key: value.half() if value.is_floating_point() else value for key, value in tensors.items()}
        content[STORED] = HALF
    if with_source:
        content["source_texts"] = texts_in(run.folder, run.config)
    description = json.dumps(content, sort_keys=True, default=plain)
    write_tensors(out, tensors, metadata={TEAM: description, VERSION: str(FORMAT_VERSION)})
    return out


def read_policy(source: str | pathlib.Path, name: str) -> LoadedPolicy:
    """The weights of a policy in a run folder, team file, "recipe:NAME", or file of that policy; builds nothing.

    The file of one policy serves under any name, and a member of a population, "speaker_1", may begin as the "speaker"
    of a run without one. Raises `RunFolderError` where it is no such thing.
    """
    path = located(source)
    if path.is_file():
        config, stored = open_team_file(path)
    else:
        config, stored = read_config(path), open_weights(path / WEIGHTS)
    name = str(config.get("policy", name))
    names = sorted({key.removeprefix(POLICY).partition(".")[0] for key in stored.outlines if key.startswith(POLICY)})
    if name not in names and MEMBER.sub("", name) in names:
        name = MEMBER.sub("", name)
    if name not in names:
        raise UnknownNameError(what=f"policy in {path}", name=name, valid=names)
    if (size := stored.path.stat().st_size) > MAX_POLICY_BYTES:
        raise RunFolderError(f"{stored.path} has {size:,} bytes: more than {MAX_POLICY_BYTES:,} are refused")
    prefix = f"{POLICY}{name}."
    tensors = weights_in(config, stored)
    own = {key.removeprefix(prefix): value for key, value in tensors.items() if key.startswith(prefix)}
    return LoadedPolicy(source=str(path), name=name, trained_as=_trained_as(config, name), tensors=own)


def load_into(policy: Policy, loaded: LoadedPolicy, *, name: str) -> None:
    """Give a policy the weights of another; raises `RunFolderError` where its network is not the same."""
    what = (
        f"load_policies: policy {name!r} cannot take the weights of {loaded.name!r} in {loaded.source}, trained as "
        f"{loaded.trained_as}; choose the same model, channel, environment and settings"
    )
    check_fit(loaded.tensors, policy.state_dict(), what=what)
    policy.load_state_dict(loaded.tensors)


def _content(run: Run) -> dict[str, Any]:
    kept: dict[str, Any] = {key: run.config[key] for key in ("seed", "versions") if key in run.config}
    return {
        VERSION: FORMAT_VERSION,
        "env": run.env.model_dump(),
        "team": run.choices.model_dump(),
        "exported_by": f"heliograph {heliograph.__version__}",
        **kept,
    }


def _only(
    tensors: dict[str, Tensor], content: dict[str, Any], policy: str, *, valid: list[str]
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Return what belongs to one policy; without an environment, as it is no team."""
    if policy not in valid:
        raise UnknownNameError(what="policy to export", name=policy, valid=valid)
    own = {key: value for key, value in tensors.items() if key.startswith(f"{POLICY}{policy}.")}
    env = content["env"]
    rest = {key: value for key, value in content.items() if key != "env"}
    return own, {**rest, "policy": policy, "trained_in": env}


def _trained_as(config: dict[str, Any], name: str) -> str:
    team = config["team"]
    own = _part(_part(team.get("policies")).get(name))
    whose = own if own.get("model") is not None else team
    model = f"model={whose.get('model')!r} {whose.get('model_settings') or ''}".strip()
    channel = f"channel={team.get('channel')!r} {team.get('channel_settings') or ''}".strip()
    env = _part(config.get("env") or config.get("trained_in"))
    return cut(f"{model}, {channel}, env={env.get('env')!r} {env.get('settings') or ''}".strip(), at_most=MOST_TOLD)


def _part(value: Any) -> dict[str, Any]:
    """Return what should be a table, and may be anything in a stranger's file."""
    return value if isinstance(value, dict) else {}


__all__ = ["LoadedPolicy", "export", "load_into", "read_policy"]
