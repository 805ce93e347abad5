"""What a hearer would do after each message, asked of a trained team in situations that it plays."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int, Num

from heliograph.analysis.candidate_messages import candidates_of
from heliograph.analysis.counterfactuals import Moments, moments_in
from heliograph.analysis.evaluate import play_run
from heliograph.analysis.measures.causal_influence import causal_influence, mixed_actions
from heliograph.analysis.measures.effective_length import Replacing
from heliograph.analysis.measures.measure import Needs
from heliograph.analysis.measures.positive_listening import positive_listening
from heliograph.analysis.measures.positive_signalling import positive_signalling
from heliograph.analysis.measures.symbol_effects import SymbolEffects, symbol_effects
from heliograph.analysis.measures.undefined import Undefined
from heliograph.registry import UnknownNameError
from heliograph.rollouts.rollout import Keeping
from heliograph.storage.run_folder import Run
from heliograph.types import Choice

__all__ = ["HearerProbabilities", "effects_table", "hearer_probabilities", "heeded_places", "influence_between"]

MAX_TURNS = 50_000
"""Turns of agents that are asked about at once."""


@dataclasses.dataclass(frozen=True, kw_only=True, eq=False)
class HearerProbabilities:
    """How likely `hearer` acts in each way after each message of `sender`, in n situations of the team's own play.

    Probabilities are float64, along the last axis. `words` [W, L] are the messages that are asked about, symbols or
    vectors. `actions` [n, W, A]: with the message replaced by each, all else as it was. `said` [n]: which of them was
    said, -1 for none. `says` [n, W]: how likely the sender was to say each; None where its channel does not tell.
    `silenced`, `zeroed` [n, A]: had it not spoken, had zeros arrived. `episode`, `step` [n]: when it was said.
    """

    sender: str
    hearer: str
    words: Num[np.ndarray, "W L"]
    actions: Float[np.ndarray, "n W A"]
    said: Int[np.ndarray, " n"]
    says: Float[np.ndarray, "n W"] | None
    silenced: Float[np.ndarray, "n A"]
    zeroed: Float[np.ndarray, "n A"]
    episode: Int[np.ndarray, " n"]
    step: Int[np.ndarray, " n"]

    def __len__(self) -> int:
        return len(self.said)

    @property
    def mixed(self) -> Float[np.ndarray, "n A"]:
        """Mean policy of a hearer over messages, a fitted "no message": as the sender says them, uniform if unknown."""
        return mixed_actions(self.actions, self.weights)

    @property
    def weights(self) -> Float[np.ndarray, "n W"] | None:
        """How the sender's messages are shared out over `words`; None where that is not known."""
        if self.says is None:
            return None
        total = self.says.sum(1, keepdims=True)
        return np.where(total > 0, self.says, 1.0) / np.where(total > 0, total, float(self.says.shape[1]))

    def as_columns(self) -> dict[str, Any]:
        """The situations as columns by the names that measures take them by, of those whose message is among `words`.

        `silent_probabilities` are those had the sender not spoken; `message_probabilities` are uniform where the sender
        does not tell.
        """
        known = self.said >= 0
        uniform = np.full(self.actions.shape[:2], 1.0 / self.actions.shape[1])
        return {
            Needs.MESSAGES.value: self.words[self.said[known]],
            Needs.ACTION_PROBABILITIES.value: self.actions[known],
            Needs.MESSAGE_PROBABILITIES.value: (uniform if self.weights is None else self.weights)[known],
            Needs.SILENT_PROBABILITIES.value: self.silenced[known],
        }


def hearer_probabilities(
    run: Run,
    *,
    sender: str,
    hearer: str,
    num_episodes: int = 100,
    words: Sequence[Sequence[int]] | None = None,
    round_index: int = 0,
    choice: Choice = Choice.GREEDY,
    seed: int = 0,
    num_envs: int | None = None,
) -> HearerProbabilities:
    """Play episodes, and ask the team what the hearer would have done after each message of the sender.

    One message is replaced at a time: that of `round_index` in one step, for this one reading of it. Memory, other
    messages and draws stay as recorded, until the hearer reads it (in the same step, in the next, or after the
    channel's delay). `words`: those to ask about; None: all of a channel that has at most 64, or 64 vectors of those
    said. `choice` is how the episodes are played; probabilities are those before any choice, but of a team trained by
    Q-learning the best action has all of it. Takes about as long as to play the episodes once for each word.

    Raises ValueError where the hearer never reads anything of the sender, and for actions that are real numbers.
    """
    slots = {agent: slot for slot, agent in enumerate(run.facts.agents)}
    for agent in (sender, hearer):
        if agent not in slots:
            raise UnknownNameError(what="agent", name=agent, valid=list(slots))
    if run.team.silent or not 0 <= round_index < run.team.rounds:
        raise ValueError(f"round_index={round_index}: the team talks {run.team.rounds} rounds in a step")
    how: Any = {"num_episodes": num_episodes, "choice": choice, "seed": seed, "num_envs": num_envs}
    rollouts = play_run(run, **how, keeping=Keeping.SEEN).rollouts
    speaker = slots[sender]
    candidates = candidates_of(
        run.team.channel, rollouts, sender=speaker, words=words, seed=seed, round_index=round_index
    )
    parts, first, episodes = list[Moments](), 0, list[np.ndarray]()
    for rollout in rollouts:
        size = max(1, MAX_TURNS // (rollout.num_steps * rollout.speaking.shape[-1]))
        for part in rollout.chunks(size):
            found = moments_in(
                run.team, part, sender=speaker, hearer=slots[hearer], candidates=candidates,
                round_index=round_index, has_odds=run.has_odds,
            )  # fmt: skip
            parts.append(found)
            episodes.append(first + found.copy.numpy(force=True))
            first += part.num_envs
    if not sum(len(part.said) for part in parts):
        raise ValueError(f"{hearer} never acted on a message of {sender} in {num_episodes} episodes")
    shown = candidates.payload if candidates.words is None else candidates.words
    return HearerProbabilities(
        sender=sender,
        hearer=hearer,
        words=shown.numpy(force=True),
        actions=_joined([part.actions for part in parts]),
        said=_joined([part.said for part in parts]),
        says=None if parts[0].says is None else _joined([part.says for part in parts if part.says is not None]),
        silenced=_joined([part.silenced for part in parts]),
        zeroed=_joined([part.zeroed for part in parts]),
        episode=np.concatenate(episodes),
        step=_joined([part.time for part in parts]),
    )


def influence_between(found: HearerProbabilities, *, unit: str = "bits") -> dict[str, Any]:
    """Return what the sender's messages do to the hearer, in "bits" or "nats" (L1 has no unit).

    Keys: `num_situations`; `causal_influence` by the sender's own p(m) (None: unknown) and `..._uniform`; distances
    `l1_silenced`, `l1_zeroed`, `l1_mixed`, and `js_...`, of what the hearer does after the message that was said from
    what it does without: had the sender not spoken, had zeros arrived, or the mean over messages. `signalling` is
    what the sender's own probabilities of messages tell of the situation (`positive_signalling`; None: unknown).
    """
    heard = found.said >= 0
    after = found.actions[heard, found.said[heard]]
    without = {"silenced": found.silenced, "zeroed": found.zeroed, "mixed": found.mixed}
    says = found.weights
    apart = {
        f"{distance}_{name}": positive_listening(after, table[heard], distance=distance, unit=unit)
        if heard.any()
        else None
        for distance in ("l1", "js")
        for name, table in without.items()
    }
    return {
        "num_situations": len(found),
        "causal_influence": None if says is None else causal_influence(found.actions, says, unit=unit),
        "causal_influence_uniform": causal_influence(found.actions, unit=unit),
        "signalling": None if says is None else positive_signalling(says, unit=unit).information,
        **apart,
    }


def heeded_places(found: HearerProbabilities, *, replacing: Replacing | str = "some") -> float:
    """The effective length of the sender's words: mean number of places whose replacement changes the likeliest action.

    As `effective_length`, of the team itself: a place counts where "some" other symbol there changes what the hearer
    would most likely do, or as the share ("mean") of those that do. Of situations whose word is among `words`;
    undefined where no two of the words differ in one place alone.
    """
    kind = Replacing(replacing)
    acts = found.actions.argmax(-1)
    differs = found.words[:, None] != found.words[None, :]
    single = np.where(differs.sum(-1) == 1, differs.argmax(-1), -1)  # the only place in which two words differ
    known = np.flatnonzero(found.said >= 0)
    if found.words.dtype.kind == "f" or not (single >= 0).any() or not len(known):
        return Undefined("no two of the words differ in one place alone")
    said = found.said[known]
    changed = acts[known] != acts[known, said][:, None]
    total = 0.0
    for place in range(found.words.shape[1]):
        others = single[said] == place
        number = np.maximum(others.sum(1), 1)
        share = (changed & others).sum(1) / number
        total += float((share > 0).mean() if kind is Replacing.SOME else share.mean())
    return total


def effects_table(found: HearerProbabilities) -> pd.DataFrame:
    """One row for each message and action: `message`, `action`, `share` of the message, `probability`, and `shift`.

    `probability` is how likely the action follows the message, `shift` how much likelier than on average over messages.
    """
    effects: SymbolEffects = symbol_effects(found.actions, found.weights)
    names = [" ".join(f"{part:g}" for part in word) for word in found.words.tolist()]
    number = effects.actions.shape[1]
    return pd.DataFrame(
        {
            "message": np.repeat(np.array(names, dtype=object), number),
            "action": np.tile(np.arange(number), len(names)),
            "share": effects.share.repeat(number),
            "probability": effects.actions.ravel(),
            "shift": effects.shift.ravel(),
        }
    )


def _joined(parts: list[torch.Tensor]) -> np.ndarray:
    return torch.cat(parts).numpy(force=True)
