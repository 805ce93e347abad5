"""Combinations are judged by what components declare: a stranger's that declares the same is judged the same."""

import ast
import pathlib
import re
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import heliograph
from heliograph import registry
from heliograph.channels.continuous import Continuous
from heliograph.channels.gated import Gated
from heliograph.channels.noisy import Noisy
from heliograph.channels.vq import VQ
from heliograph.envs.base import TeamEnv
from heliograph.envs.speaker_listener import SpeakerListener
from heliograph.experiments.choices import EnvChoice, TeamChoices
from heliograph.experiments.compatibility import rehearse
from heliograph.losses.base import AuxiliaryLoss, LossBatch
from heliograph.rllib.qlearning import CommDQNConfig
from heliograph.rllib.validation import scored_words
from heliograph.topologies.base import Topology, no_edges
from heliograph.types import Edges, TeamStep
from tests.parts import make_sampler

PACKAGE = pathlib.Path(heliograph.__file__).parent
ENV = EnvChoice(env="speaker_listener")


class Zero(AuxiliaryLoss):
    """Teaches nothing."""

    def forward(self, batch: LossBatch) -> Tensor:
        return torch.zeros(())


class OfOdds(Zero):
    needs_symbol_log_probs = True


class OfSilence(Zero):
    needs_silence = True


class OfSolver(Zero):
    needs_oracle = True


class OfActions(Zero):
    needs_action_log_probs = True


def of_odds(batch: LossBatch) -> Tensor:
    return torch.zeros(())


of_odds.needs_symbol_log_probs = True  # type: ignore[attr-defined]


class Elsewhere(Topology):
    """What the environment says."""

    static = False
    needs_hearing = True

    def pattern(self, step: TeamStep) -> Edges:
        assert step.adjacency is not None
        return step.adjacency


class Lonely(Topology):
    hears_nobody = True

    def pattern(self, step: TeamStep) -> Edges:
        return no_edges(step.speaking.shape[1], step.speaking.device)


@pytest.mark.parametrize(
    ("env", "choices", "losses", "words"),
    [
        ("speaker_listener", {"channel": "continuous"}, [OfOdds], "loss='OfOdds'; SpeakerListener of agents"),
        ("speaker_listener", {"channel": "continuous"}, [of_odds], "loss='of_odds'; SpeakerListener of agents"),
        ("speaker_listener", {"channel": "dru"}, [OfSilence], "loss='OfSilence'; SpeakerListener of agents"),
        (f"{__name__}:Unsolved", {"channel": "dru"}, [OfSolver], "loss='OfSolver'; Unsolved of agents"),
        ("speaker_listener", {"channel": "dru", "topology": Elsewhere}, [], "leaves hearing to the environment"),
        ("speaker_listener", {"channel": "vq", "channel_settings": {"temperature": 0.5}}, [], "temperature=0.5 would"),
    ],
)  # fmt: skip
def test_what_lacks_a_declared_need_is_refused(
    env: str, choices: dict[str, Any], losses: list[Any], words: str
) -> None:
    with pytest.raises(ValueError, match=re.escape(words)):
        rehearse(EnvChoice(env=env), TeamChoices(**choices), [(loss, {}) for loss in losses])


class Unsolved(SpeakerListener):
    """One of ours without its solver."""

    oracle = TeamEnv.oracle


@pytest.mark.parametrize(
    ("choices", "losses"),
    [
        ({"channel": "symbols"}, [OfOdds, OfSolver, OfActions]),
        ({"channel": "gated+dru"}, [OfSilence, of_odds]),
        ({"channel": "none"}, [OfOdds, OfSilence]),
        ({"channel": "vq", "channel_settings": {"temperature": 0.5}}, [OfOdds]),
        ({"channel": "vq", "channel_settings": {"temperature": 0.1}}, []),
        ({"channel": "dru", "topology": Lonely}, []),
    ],
)
def test_what_has_it_passes(choices: dict[str, Any], losses: list[Any]) -> None:
    rehearse(ENV, TeamChoices(**choices), [(loss, {}) for loss in losses])


class Sharp(VQ):
    """A setting of odds under another name, beside one that says the same."""

    settings_of_odds = ("sharpness",)

    def __init__(self, *, sharpness: float = 10.0):
        super().__init__(temperature=1 / sharpness)


def test_settings_that_only_losses_read_are_declared() -> None:
    chosen = TeamChoices(channel=Sharp, channel_settings={"sharpness": 5.0})
    with pytest.raises(ValueError, match=r"sharpness=5\.0 would have no effect"):
        rehearse(ENV, chosen)
    rehearse(ENV, chosen, [(OfOdds, {})])


@pytest.mark.parametrize(("loss", "words"), [(OfActions, "odds of actions"), (OfOdds, "odds of messages")])
def test_an_algorithm_that_learns_values_has_no_odds(loss: Any, words: str) -> None:
    config = CommDQNConfig().environment("speaker_listener").communication(channel="symbols", losses=[loss])
    with pytest.raises(ValueError, match=words):
        config.validate()


def test_a_channel_tells_its_gate_and_its_entropy() -> None:
    fixed = Noisy(Continuous(gradient="score"))
    assert fixed.has_fixed_entropy and not Noisy(Gated(fixed)).has_fixed_entropy
    assert (Noisy(Gated(fixed)).num_gate_logits, fixed.num_gate_logits) == (2, 0)
    names = ("continuous-score", "symbols-score")
    assert [scored_words(make_sampler("speaker_listener", channel=n).team) for n in names] == [False, True]


def test_a_model_asks_for_the_logits_of_the_gate_that_a_channel_has() -> None:
    spec = make_sampler("speaker_listener", channel="gated+dru", model="ic3net").team.policies["speaker"].model.spec
    assert spec.num_gate_logits == 2
    wider = {**vars(spec), "num_gate_logits": 3, "channel_input_size": 7}
    three = registry.load("model", "ic3net")(type(spec)(**wider))
    message_encoder: nn.Module = three.build_message_encoder(7)
    assert (message_encoder.gate.out_features, message_encoder.message.out_features) == (3, 4)


# ---- nobody asks for a component's class ---------------------------------------------------------------------------


def components() -> set[str]:
    """Modules of single components, and of what wraps them."""
    kinds = ("channel", "topology", "model", "loss")
    own = {f"heliograph.{registry.folder_of(kind)}.{name}" for kind in kinds for name in registry.names(kind)}
    return own | {"heliograph.channels.wrapper"}


def asked(tree: ast.AST) -> Iterator[ast.AST]:
    """What a file compares by identity, or asks for by `isinstance` and `issubclass`."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") in ("isinstance", "issubclass"):
            yield node.args[1]
        elif isinstance(node, ast.Compare) and any(isinstance(op, ast.Is | ast.IsNot) for op in node.ops):
            yield from node.comparators


def test_no_file_asks_for_the_class_of_a_component_of_another() -> None:
    found, modules = [], components()
    for path in PACKAGE.rglob("*.py"):
        tree = ast.parse(path.read_text())
        own = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom) and node.module in modules
            for alias in node.names
        }
        names = {x.id for part in asked(tree) for x in ast.walk(part) if isinstance(x, ast.Name)} if own else set()
        found += [f"{path.relative_to(PACKAGE)}: {name}" for name in own & names]
    assert not found
