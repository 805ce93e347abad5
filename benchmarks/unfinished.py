"""Runs that are too long for one sitting: what a trainer is after an evaluation, to go on from, bit by bit the same."""

import dataclasses
import json
import pathlib
from typing import Any

from heliograph.experiments.settings import TrainSettings
from heliograph.rllib.runs.local import LocalTrainer
from heliograph.storage.run_folder import plain, write_json

TOLD = "so_far.json"


@dataclasses.dataclass(kw_only=True)
class SoFar:
    """Updates made, what they cost in seconds, and what was found on the way, as (update, finding)."""

    updates: int = 0
    cpu: float = 0.0
    wall: float = 0.0
    curve: list[Any] = dataclasses.field(default_factory=list)


def folder_of(unfinished: pathlib.Path | None, job: dict[str, Any]) -> pathlib.Path | None:
    """Where a run is kept while it is not finished."""
    if unfinished is None:
        return None
    sigma = "" if job.get("sigma") is None else f"_sigma_{job['sigma']}"
    apart = "_ns" if job.get("changes", {}).get("networks") == "separate" else ""
    return unfinished / f"{job['recipe']}{apart}_{job['kind']}_{job['seed']}{sigma}"


def put_down(folder: pathlib.Path, trainer: LocalTrainer, settings: TrainSettings, so_far: SoFar) -> None:
    """Write the state, then what it belongs to, then remove the state before: a kill at any moment loses no pair."""
    folder.mkdir(parents=True, exist_ok=True)
    state = folder / f"state_{so_far.updates}.safetensors"
    trainer.save(state)
    write_json(folder / TOLD, {"settings": settings.model_dump(mode="json"), **dataclasses.asdict(so_far)})
    for path in folder.glob("state_*.safetensors"):
        if path != state:
            path.unlink()


def taken_up(folder: pathlib.Path, trainer: LocalTrainer, settings: TrainSettings) -> SoFar:
    """Restore what was put down there; nothing where nothing was. A run of other settings is refused."""
    if not (folder / TOLD).exists():
        return SoFar()
    told = json.loads((folder / TOLD).read_text(encoding="utf8"))
    if told.pop("settings") != json.loads(json.dumps(settings.model_dump(mode="json"), default=plain)):
        raise SystemExit(f"{folder} holds a run of other settings: name another folder, or remove it")
    trainer.restore(folder / f"state_{told['updates']}.safetensors")
    return SoFar(**told)
