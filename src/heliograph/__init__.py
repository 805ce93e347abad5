"""Heliograph: train, measure and read emergent communication in teams of learning agents.

`import heliograph as hg` offers what is named in `PUBLIC`, each imported when it is first asked for; other modules may
move between versions. Nothing is imported here that Python has not loaded already: `python -m heliograph` may run where
a stranger's files lie, and takes the folder out of the way only then.
"""

import sys

TYPE_CHECKING = False  # that of typing is not at hand yet; type checkers know the name
if TYPE_CHECKING:
    from heliograph.adapters.gymnasium_tuple import FromGymnasiumTuple as FromGymnasiumTuple
    from heliograph.adapters.marlenv import FromMarlenv as FromMarlenv
    from heliograph.adapters.openspiel import FromOpenSpiel as FromOpenSpiel
    from heliograph.adapters.pettingzoo import (
        FromPettingZoo as FromPettingZoo,
    )
    from heliograph.adapters.pettingzoo import (
        ToAEC as ToAEC,
    )
    from heliograph.adapters.pettingzoo import (
        ToParallel as ToParallel,
    )
    from heliograph.adapters.vmas import FromVMAS as FromVMAS
    from heliograph.analysis.corpus import Corpus as Corpus
    from heliograph.analysis.corpus import load_corpus as load_corpus
    from heliograph.analysis.crossplay import crossplay as crossplay
    from heliograph.analysis.evaluate import (
        evaluate as evaluate,
    )
    from heliograph.analysis.evaluate import (
        interventions_table as interventions_table,
    )
    from heliograph.analysis.evaluate import (
        play_run as play_run,
    )
    from heliograph.analysis.judging import judged as judged
    from heliograph.analysis.measure_table import analyze as analyze
    from heliograph.analysis.measures.entropy import entropy as entropy
    from heliograph.analysis.measures.mutual_information import mutual_information as mutual_information
    from heliograph.analysis.measures.neighbour_purity import neighbour_purity as neighbour_purity
    from heliograph.analysis.measures.permutation_baseline import permutation_baseline as permutation_baseline
    from heliograph.analysis.recording import record as record
    from heliograph.channels.base import Channel as Channel
    from heliograph.channels.wrapper import Wrapper as Wrapper
    from heliograph.envs.base import BaseSettings as BaseSettings
    from heliograph.envs.base import TeamEnv as TeamEnv
    from heliograph.envs.foreign import ForeignEnv as ForeignEnv
    from heliograph.envs.state import EnvState as EnvState
    from heliograph.envs.view import Outcome as Outcome
    from heliograph.envs.view import View as View
    from heliograph.experiments.choices import (
        EnvChoice as EnvChoice,
    )
    from heliograph.experiments.choices import (
        PolicyChoice as PolicyChoice,
    )
    from heliograph.experiments.choices import (
        TeamChoices as TeamChoices,
    )
    from heliograph.experiments.choices import (
        build_channel as build_channel,
    )
    from heliograph.experiments.choices import (
        build_env as build_env,
    )
    from heliograph.experiments.choices import (
        build_team as build_team,
    )
    from heliograph.experiments.choices import (
        facts_of as facts_of,
    )
    from heliograph.experiments.choices import (
        make_env as make_env,
    )
    from heliograph.experiments.settings import TrainSettings as TrainSettings
    from heliograph.experiments.settings import settings_from as settings_from
    from heliograph.losses.base import AuxiliaryLoss as Loss
    from heliograph.losses.base import LossBatch as LossBatch
    from heliograph.models.base import Model as Model
    from heliograph.models.base import ModelSpec as ModelSpec
    from heliograph.models.base import Perceived as Perceived
    from heliograph.protocols.protocol import Protocol as Protocol
    from heliograph.protocols.protocol import protocol_in as protocol_in
    from heliograph.recipes.base import Recipe as Recipe
    from heliograph.reports.comparison import difference as difference
    from heliograph.reports.comparison import estimate as estimate
    from heliograph.reports.pictures import pictures_of as pictures_of
    from heliograph.reports.plots import heat_map as heat_map
    from heliograph.reports.report import write_report as report
    from heliograph.reports.run_tables import curves as curves
    from heliograph.reports.run_tables import results as results
    from heliograph.reports.timelapse_page import write_timelapse as timelapse
    from heliograph.rllib.a2c import CommA2C as CommA2C
    from heliograph.rllib.a2c import CommA2CConfig as CommA2CConfig
    from heliograph.rllib.alternating import Alternating as Alternating
    from heliograph.rllib.callbacks import RecordCorpus as RecordCorpus
    from heliograph.rllib.callbacks import TeamCallbacks as TeamCallbacks
    from heliograph.rllib.maac import CommMAAC as CommMAAC
    from heliograph.rllib.maac import CommMAACConfig as CommMAACConfig
    from heliograph.rllib.maddpg import CommMADDPG as CommMADDPG
    from heliograph.rllib.maddpg import CommMADDPGConfig as CommMADDPGConfig
    from heliograph.rllib.mapping import OwnNetwork as OwnNetwork
    from heliograph.rllib.mappo import CommMAPPO as CommMAPPO
    from heliograph.rllib.mappo import CommMAPPOConfig as CommMAPPOConfig
    from heliograph.rllib.multi_agent_env import (
        FromMultiAgentEnv as FromMultiAgentEnv,
    )
    from heliograph.rllib.multi_agent_env import (
        ToMultiAgentEnv as ToMultiAgentEnv,
    )
    from heliograph.rllib.ppo import CommPPO as CommPPO
    from heliograph.rllib.ppo import CommPPOConfig as CommPPOConfig
    from heliograph.rllib.qlearning import CommDQN as CommDQN
    from heliograph.rllib.qlearning import CommDQNConfig as CommDQNConfig
    from heliograph.rllib.runs.configured import config_of as config_of
    from heliograph.rllib.runs.controls import train_controls as train_controls
    from heliograph.rllib.runs.local import LocalTrainer as LocalTrainer
    from heliograph.rllib.runs.train import resume as resume
    from heliograph.rllib.runs.train import train as train
    from heliograph.rollouts.rollout import Rollout as Rollout
    from heliograph.rollouts.sampler import Sampler as Sampler
    from heliograph.rollouts.sampler import play_episodes as play
    from heliograph.storage.agent_file import export_agent as export_agent
    from heliograph.storage.mixing import mix as mix
    from heliograph.storage.run_folder import Run as Run
    from heliograph.storage.run_folder import read_run as read_run
    from heliograph.storage.team_file import export as export
    from heliograph.storage.team_file import read_policy as read_policy
    from heliograph.team.alone import (
        AgentMemory as AgentMemory,
    )
    from heliograph.team.alone import (
        AgentMessage as AgentMessage,
    )
    from heliograph.team.alone import (
        AgentStep as AgentStep,
    )
    from heliograph.team.alone import (
        LoneAgent as LoneAgent,
    )
    from heliograph.team.team import Team as Team
    from heliograph.testing import ConformanceError as ConformanceError
    from heliograph.testing import check_channel as check_channel
    from heliograph.testing import check_env as check_env
    from heliograph.testing import check_loss as check_loss
    from heliograph.testing import check_measure as check_measure
    from heliograph.testing import check_model as check_model
    from heliograph.testing import check_recipe as check_recipe
    from heliograph.testing import check_topology as check_topology
    from heliograph.topologies.base import Topology as Topology
    from heliograph.types import (
        Bounds as Bounds,
    )
    from heliograph.types import (
        Choice as Choice,
    )
    from heliograph.types import (
        Edges as Edges,
    )
    from heliograph.types import (
        Gradient as Gradient,
    )
    from heliograph.types import (
        Heard as Heard,
    )
    from heliograph.types import (
        Inputs as Inputs,
    )
    from heliograph.types import (
        Message as Message,
    )
    from heliograph.types import (
        MessageForm as MessageForm,
    )
    from heliograph.types import (
        Role as Role,
    )
    from heliograph.types import (
        Timing as Timing,
    )

__version__ = "0.1.0"

PUBLIC: dict[str, dict[str, str]] = {
    "Running": {
        "train": "heliograph.rllib.runs.train:train",
        "resume": "heliograph.rllib.runs.train:resume",
        "train_controls": "heliograph.rllib.runs.controls:train_controls",
        "config_of": "heliograph.rllib.runs.configured:config_of",
        "TrainSettings": "heliograph.experiments.settings:TrainSettings",
        "settings_from": "heliograph.experiments.settings:settings_from",
        "LocalTrainer": "heliograph.rllib.runs.local:LocalTrainer",
        "CommPPOConfig": "heliograph.rllib.ppo:CommPPOConfig",
        "CommPPO": "heliograph.rllib.ppo:CommPPO",
        "CommA2CConfig": "heliograph.rllib.a2c:CommA2CConfig",
        "CommA2C": "heliograph.rllib.a2c:CommA2C",
        "CommDQNConfig": "heliograph.rllib.qlearning:CommDQNConfig",
        "CommDQN": "heliograph.rllib.qlearning:CommDQN",
        "CommMAACConfig": "heliograph.rllib.maac:CommMAACConfig",
        "CommMAAC": "heliograph.rllib.maac:CommMAAC",
        "CommMADDPGConfig": "heliograph.rllib.maddpg:CommMADDPGConfig",
        "CommMADDPG": "heliograph.rllib.maddpg:CommMADDPG",
        "CommMAPPOConfig": "heliograph.rllib.mappo:CommMAPPOConfig",
        "CommMAPPO": "heliograph.rllib.mappo:CommMAPPO",
        "OwnNetwork": "heliograph.rllib.mapping:OwnNetwork",
        "Alternating": "heliograph.rllib.alternating:Alternating",
        "TeamCallbacks": "heliograph.rllib.callbacks:TeamCallbacks",
        "RecordCorpus": "heliograph.rllib.callbacks:RecordCorpus",
        "Recipe": "heliograph.recipes.base:Recipe",
    },
    "Runs and what they said": {
        "read_run": "heliograph.storage.run_folder:read_run",
        "Run": "heliograph.storage.run_folder:Run",
        "mix": "heliograph.storage.mixing:mix",
        "evaluate": "heliograph.analysis.evaluate:evaluate",
        "judged": "heliograph.analysis.judging:judged",
        "play_run": "heliograph.analysis.evaluate:play_run",
        "interventions_table": "heliograph.analysis.evaluate:interventions_table",
        "record": "heliograph.analysis.recording:record",
        "Corpus": "heliograph.analysis.corpus:Corpus",
        "load_corpus": "heliograph.analysis.corpus:load_corpus",
        "analyze": "heliograph.analysis.measure_table:analyze",
        "crossplay": "heliograph.analysis.crossplay:crossplay",
        "protocol_in": "heliograph.protocols.protocol:protocol_in",
        "Protocol": "heliograph.protocols.protocol:Protocol",
        "entropy": "heliograph.analysis.measures.entropy:entropy",
        "mutual_information": "heliograph.analysis.measures.mutual_information:mutual_information",
        "permutation_baseline": "heliograph.analysis.measures.permutation_baseline:permutation_baseline",
        "neighbour_purity": "heliograph.analysis.measures.neighbour_purity:neighbour_purity",
        "heat_map": "heliograph.reports.plots:heat_map",
        "pictures_of": "heliograph.reports.pictures:pictures_of",
        "report": "heliograph.reports.report:write_report",
        "timelapse": "heliograph.reports.timelapse_page:write_timelapse",
        "estimate": "heliograph.reports.comparison:estimate",
        "difference": "heliograph.reports.comparison:difference",
        "results": "heliograph.reports.run_tables:results",
        "curves": "heliograph.reports.run_tables:curves",
        "export": "heliograph.storage.team_file:export",
        "export_agent": "heliograph.storage.agent_file:export_agent",
        "LoneAgent": "heliograph.team.alone:LoneAgent",
        "AgentMemory": "heliograph.team.alone:AgentMemory",
        "AgentMessage": "heliograph.team.alone:AgentMessage",
        "AgentStep": "heliograph.team.alone:AgentStep",
        "read_policy": "heliograph.storage.team_file:read_policy",
    },
    "Environments and teams": {
        "make_env": "heliograph.experiments.choices:make_env",
        "EnvChoice": "heliograph.experiments.choices:EnvChoice",
        "build_env": "heliograph.experiments.choices:build_env",
        "facts_of": "heliograph.experiments.choices:facts_of",
        "TeamChoices": "heliograph.experiments.choices:TeamChoices",
        "PolicyChoice": "heliograph.experiments.choices:PolicyChoice",
        "build_team": "heliograph.experiments.choices:build_team",
        "build_channel": "heliograph.experiments.choices:build_channel",
        "Team": "heliograph.team.team:Team",
        "Sampler": "heliograph.rollouts.sampler:Sampler",
        "play": "heliograph.rollouts.sampler:play_episodes",
        "Rollout": "heliograph.rollouts.rollout:Rollout",
        "FromPettingZoo": "heliograph.adapters.pettingzoo:FromPettingZoo",
        "ToParallel": "heliograph.adapters.pettingzoo:ToParallel",
        "ToAEC": "heliograph.adapters.pettingzoo:ToAEC",
        "FromMultiAgentEnv": "heliograph.rllib.multi_agent_env:FromMultiAgentEnv",
        "ToMultiAgentEnv": "heliograph.rllib.multi_agent_env:ToMultiAgentEnv",
        "FromGymnasiumTuple": "heliograph.adapters.gymnasium_tuple:FromGymnasiumTuple",
        "FromMarlenv": "heliograph.adapters.marlenv:FromMarlenv",
        "FromOpenSpiel": "heliograph.adapters.openspiel:FromOpenSpiel",
        "FromVMAS": "heliograph.adapters.vmas:FromVMAS",
    },
    "Writing components": {
        "TeamEnv": "heliograph.envs.base:TeamEnv",
        "EnvState": "heliograph.envs.state:EnvState",
        "BaseSettings": "heliograph.envs.base:BaseSettings",
        "Outcome": "heliograph.envs.view:Outcome",
        "View": "heliograph.envs.view:View",
        "ForeignEnv": "heliograph.envs.foreign:ForeignEnv",
        "Bounds": "heliograph.types:Bounds",
        "Role": "heliograph.types:Role",
        "Edges": "heliograph.types:Edges",
        "Model": "heliograph.models.base:Model",
        "ModelSpec": "heliograph.models.base:ModelSpec",
        "Perceived": "heliograph.models.base:Perceived",
        "Inputs": "heliograph.types:Inputs",
        "Heard": "heliograph.types:Heard",
        "Timing": "heliograph.types:Timing",
        "Channel": "heliograph.channels.base:Channel",
        "Wrapper": "heliograph.channels.wrapper:Wrapper",
        "Message": "heliograph.types:Message",
        "MessageForm": "heliograph.types:MessageForm",
        "Gradient": "heliograph.types:Gradient",
        "Choice": "heliograph.types:Choice",
        "Topology": "heliograph.topologies.base:Topology",
        "Loss": "heliograph.losses.base:AuxiliaryLoss",
        "LossBatch": "heliograph.losses.base:LossBatch",
        "check_env": "heliograph.testing:check_env",
        "check_channel": "heliograph.testing:check_channel",
        "check_model": "heliograph.testing:check_model",
        "check_topology": "heliograph.testing:check_topology",
        "check_loss": "heliograph.testing:check_loss",
        "check_measure": "heliograph.testing:check_measure",
        "check_recipe": "heliograph.testing:check_recipe",
        "ConformanceError": "heliograph.testing:ConformanceError",
    },
}
"""What users need, in the order of what they do: names, and where each is defined."""
PLACES = {name: place for names in PUBLIC.values() for name, place in names.items()}
__all__ = [
    "AgentMemory", "AgentMessage", "AgentStep", "Alternating", "BaseSettings", "Bounds", "Channel", "Choice", "CommA2C",
    "CommA2CConfig", "CommDQN", "CommDQNConfig", "CommMAAC", "CommMAACConfig", "CommMADDPG", "CommMADDPGConfig",
    "CommMAPPO", "CommMAPPOConfig", "CommPPO", "CommPPOConfig", "ConformanceError", "Corpus", "Edges", "EnvChoice",
    "EnvState", "ForeignEnv", "FromGymnasiumTuple", "FromMarlenv", "FromMultiAgentEnv", "FromOpenSpiel",
    "FromPettingZoo", "FromVMAS", "Gradient", "Heard", "Inputs", "LocalTrainer", "LoneAgent", "Loss", "LossBatch",
    "Message", "MessageForm", "Model", "ModelSpec", "Outcome", "OwnNetwork", "Perceived", "PolicyChoice", "Protocol",
    "Recipe", "RecordCorpus", "Role", "Rollout", "Run", "Sampler", "Team", "TeamCallbacks", "TeamChoices", "TeamEnv",
    "Timing", "ToAEC", "ToMultiAgentEnv", "ToParallel", "Topology", "TrainSettings", "View", "Wrapper", "analyze",
    "build_channel", "build_env", "build_team", "check_channel", "check_env", "check_loss", "check_measure",
    "check_model", "check_recipe", "check_topology", "config_of", "crossplay", "curves", "difference", "entropy",
    "estimate", "evaluate", "export", "export_agent", "facts_of", "heat_map", "interventions_table", "judged",
    "load_corpus", "make_env", "mix", "mutual_information", "neighbour_purity", "permutation_baseline", "pictures_of",
    "play", "play_run", "protocol_in", "read_policy", "read_run", "record", "report", "results", "resume",
    "settings_from", "timelapse", "train", "train_controls",
]  # fmt: skip


class _Moved:
    """Finds modules of Heliograph that have moved, after all that is where it is said to be."""

    @staticmethod
    def find_spec(name, path=None, target=None):  # type: ignore[no-untyped-def]
        """Tell how a moved module is loaded."""
        if not name.startswith("heliograph."):
            return None
        from heliograph.moved import spec_of

        return spec_of(name)


sys.meta_path.append(_Moved)

if not TYPE_CHECKING:

    def __getattr__(name):
        """A public name, imported now and kept."""
        if name not in PLACES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        module, _, attribute = PLACES[name].partition(":")
        found = globals()[name] = getattr(import_module(module), attribute)
        return found


def __dir__() -> list[str]:
    """Public names, and the modules that are imported so far."""
    return sorted({*globals(), *PLACES})
