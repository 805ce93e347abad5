"""Modules and classes that have moved: their old names work for one minor version with a warning, in files for ever."""

import functools
import importlib
import importlib.machinery
import types
import warnings
from typing import Any

__all__ = ["MODULES", "NAMES", "moved_name", "present_name", "spec_of"]

MODULES = {
    "heliograph.analysis.canvas": "heliograph.rendering.canvas",
    "heliograph.analysis.collapse": "heliograph.analysis.diagnosis",
    "heliograph.analysis.compare_page": "heliograph.reports.compare_page",
    "heliograph.analysis.comparison": "heliograph.reports.comparison",
    "heliograph.analysis.decision_table": "heliograph.protocols.decision_table",
    "heliograph.analysis.decisions_section": "heliograph.reports.decisions_section",
    "heliograph.analysis.film": "heliograph.rendering.animation",
    "heliograph.analysis.findings": "heliograph.reports.report_data",
    "heliograph.analysis.frames": "heliograph.rendering.frames",
    "heliograph.analysis.interpretation": "heliograph.protocols.message_meanings",
    "heliograph.analysis.labels": "heliograph.protocols.labels",
    "heliograph.analysis.listening_plots": "heliograph.reports.listening_plots",
    "heliograph.analysis.listening_section": "heliograph.reports.listening_section",
    "heliograph.analysis.page": "heliograph.reports.page",
    "heliograph.analysis.placing": "heliograph.rendering.bubble_layout",
    "heliograph.analysis.plots": "heliograph.reports.plots",
    "heliograph.analysis.protocol": "heliograph.protocols.protocol",
    "heliograph.analysis.readings": "heliograph.protocols.env_wording",
    "heliograph.analysis.replay": "heliograph.protocols.replay_text",
    "heliograph.analysis.report": "heliograph.reports.report",
    "heliograph.analysis.rivals_section": "heliograph.reports.rivals_section",
    "heliograph.analysis.run_groups": "heliograph.reports.run_groups",
    "heliograph.analysis.run_results": "heliograph.reports.run_results",
    "heliograph.analysis.sections": "heliograph.reports.sections",
    "heliograph.analysis.speech": "heliograph.rendering.drawables",
    "heliograph.analysis.stage": "heliograph.rendering.figure",
    "heliograph.analysis.table_play": "heliograph.protocols.table_play",
    "heliograph.analysis.turns": "heliograph.protocols.agent_steps",
    "heliograph.combinations": "heliograph.experiments.compatibility",
    "heliograph.cores": "heliograph.hardware",
    "heliograph.curriculum": "heliograph.experiments.curriculum",
    "heliograph.durable": "heliograph.storage.atomic",
    "heliograph.effects": "heliograph.experiments.effects",
    "heliograph.episodes": "heliograph.rollouts.statistics",
    "heliograph.experiment": "heliograph.experiments.choices",
    "heliograph.folding": "heliograph.rollouts.split_episodes",
    "heliograph.measured": "heliograph.recipes.results",
    "heliograph.models.attending": "heliograph.team.attention",
    "heliograph.models.delivery": "heliograph.team.inbox",
    "heliograph.models.layout": "heliograph.team.assignment",
    "heliograph.models.policy": "heliograph.team.policy",
    "heliograph.models.presence": "heliograph.team.participation",
    "heliograph.models.recall": "heliograph.team.inputs",
    "heliograph.models.scoring": "heliograph.team.log_probs",
    "heliograph.models.team": "heliograph.team.team",
    "heliograph.recording": "heliograph.rollouts.recording",
    "heliograph.rllib.bench": "heliograph.rllib.runs.bench",
    "heliograph.rllib.checkpoints": "heliograph.rllib.runs.checkpoints",
    "heliograph.rllib.claim": "heliograph.rllib.runs.run_lock",
    "heliograph.rllib.finished": "heliograph.rllib.runs.finished",
    "heliograph.rllib.guest": "heliograph.rllib.custom_module",
    "heliograph.rllib.learning": "heliograph.rllib.learner_errors",
    "heliograph.rllib.local": "heliograph.rllib.runs.local",
    "heliograph.rllib.overridden": "heliograph.rllib.rllib_internals",
    "heliograph.rllib.records": "heliograph.rllib.runs.records",
    "heliograph.rllib.session": "heliograph.rllib.runs.session",
    "heliograph.rllib.settings": "heliograph.experiments.settings",
    "heliograph.rllib.state_file": "heliograph.storage.state_file",
    "heliograph.rllib.streams": "heliograph.rllib.runs.rng_state",
    "heliograph.rllib.runs.twins": "heliograph.rllib.runs.controls",
    "heliograph.rllib.sweep": "heliograph.rllib.runs.sweep",
    "heliograph.rllib.train": "heliograph.rllib.runs.train",
    "heliograph.rllib.turns": "heliograph.rllib.alternating",
    "heliograph.rllib.unheeded": "heliograph.rllib.unsupported_settings",
    "heliograph.rllib.weights": "heliograph.rllib.shared_weights",
    "heliograph.rllib.worker": "heliograph.rllib.runs.worker",
    "heliograph.rollout": "heliograph.rollouts.rollout",
    "heliograph.run_folder": "heliograph.storage.run_folder",
    "heliograph.safe_files": "heliograph.storage.safe_files",
    "heliograph.sampler": "heliograph.rollouts.sampler",
    "heliograph.sharing": "heliograph.storage.team_file",
    "heliograph.shipped": "heliograph.recipes.pretrained",
    "heliograph.unrolled": "heliograph.team.unroll",
}
"""Where the content of a module is now."""
NAMES = {
    "heliograph.analysis.compare_page:render": "heliograph.reports.compare_page:comparison_page",
    "heliograph.analysis.corpus:load": "heliograph.analysis.corpus:load_corpus",
    "heliograph.analysis.evaluate:record": "heliograph.analysis.recording:record",
    "heliograph.analysis.measures.mutual_information:normalised_mutual_information": (
        "heliograph.analysis.measures.normalised_mutual_information:normalised_mutual_information"
    ),
    "heliograph.analysis.plots:sample": "heliograph.reports.plots:sampled_utterances",
    "heliograph.analysis.protocol:recorded": "heliograph.protocols.protocol:corpus_of_run",
    "heliograph.analysis.report:render": "heliograph.reports.report:report_page",
    "heliograph.analysis.sections:choices_of": "heliograph.reports.sections:choices_by_name",
    "heliograph.analysis.speech:Telling": "heliograph.rendering.drawables:StepDescriber",
    "heliograph.models.delivery:Frame": "heliograph.team.inbox:StepMasks",
    "heliograph.models.delivery:recorded": "heliograph.team.inbox:recorded_steps",
    "heliograph.models.presence:Presence": "heliograph.team.participation:Participation",
    "heliograph.rllib.finished:finished": "heliograph.rllib.runs.finished:finished_run",
    "heliograph.rllib.settings:check": "heliograph.experiments.settings:check_training",
    "heliograph.rllib.sweep:finished": "heliograph.rllib.runs.sweep:finished_trial",
    "heliograph.rllib.worker:main": "heliograph.rllib.runs.worker:run_jobs",
    "heliograph.rollout:Acted": "heliograph.team.state:Acted",
    "heliograph.rollout:Advanced": "heliograph.team.state:StepOutput",
    "heliograph.rollout:Inbox": "heliograph.team.state:Inbox",
    "heliograph.rollout:TeamState": "heliograph.team.state:TeamState",
    "heliograph.sampler:play": "heliograph.rollouts.sampler:play_episodes",
    "heliograph.unrolled:Presence": "heliograph.team.participation:Participation",
}
"""Where single names are now that have gone elsewhere on their own, or are called otherwise."""


class _Mover:
    """Loads moved modules, for Python's import system."""

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> None:
        """Leave that to Python."""

    def exec_module(self, module: types.ModuleType) -> None:
        """Fill the old module with what the new one has."""
        present = MODULES[module.__name__]
        warnings.warn(f"{module.__name__} has moved to {present}", DeprecationWarning, stacklevel=2)
        found = vars(importlib.import_module(present))
        vars(module).update({name: value for name, value in found.items() if not name.startswith("__")})
        vars(module)["__getattr__"] = functools.partial(moved_name, module.__name__)


def spec_of(name: str) -> importlib.machinery.ModuleSpec | None:
    """How a module is loaded that has moved; None for one that has not."""
    return importlib.machinery.ModuleSpec(name, _Mover()) if name in MODULES else None  # type: ignore[arg-type]


def present_name(name: str) -> str:
    """The place of a class, `module:Name`, from one that it had at some time."""
    if name in NAMES:
        return NAMES[name]
    module, _, attribute = name.partition(":")
    return f"{MODULES.get(module, module)}:{attribute}"


def moved_name(module: str, name: str) -> Any:
    """Return what a name stands for that a module has no more, with a warning: for a module's `__getattr__`."""
    if f"{module}:{name}" not in NAMES:
        raise AttributeError(f"module {module!r} has no attribute {name!r}")
    present, _, attribute = NAMES[f"{module}:{name}"].partition(":")
    warnings.warn(f"{module}.{name} has moved to {present}.{attribute}", DeprecationWarning, stacklevel=3)
    return getattr(importlib.import_module(present), attribute)
