"""Episodes as readable tables: who saw what, said what to whom, did what, and what the team got."""

from typing import Any

import torch
from gymnasium import spaces
from jaxtyping import Int
from torch import Tensor

from heliograph.analysis.corpus import from_rollouts
from heliograph.analysis.utterances import edges_of, rows_of
from heliograph.channels.spelling import up_to_the_end
from heliograph.protocols.agent_steps import turns
from heliograph.protocols.env_wording import reading_of
from heliograph.protocols.labels import meaning_label, message_label, vector_label, word_label
from heliograph.rollouts.rollout import Rollout
from heliograph.storage.run_folder import Run
from heliograph.texts import NOTHING
from heliograph.types import Edges, Role

HEADINGS = ("step", "agent", "sees", "knows", "hears", "says", "heard by", "does", "team reward")
MAX_ROWS = 40
TIMES = "\N{MULTIPLICATION SIGN}"
MAX_NUMBERS = 12


def replay(run: Run, rollout: Rollout, *, copy: int) -> list[tuple[str, ...]]:
    """One row for each turn (a step in which an agent speaks or acts) of one episode; columns are `HEADINGS`.

    The observation is that of the agent alone, `knows` its private meaning, the reward the team's mean of the step.
    """
    rows: list[tuple[str, ...]] = []
    heard = _heard(run, rollout.select(torch.tensor([copy], device=rollout.valid.device)))
    for t in range(int(rollout.valid[:, copy].sum())):
        reward = vector_label([float(rollout.rewards[t, copy].mean())])
        turns = rollout.acting[t, copy] | rollout.speaking[t, copy]
        for place, slot in enumerate(turns.nonzero().flatten().tolist()):
            rows.append((str(t), *_turn(run, rollout, (t, copy, slot), heard), reward if place == 0 else ""))
    return rows


def told(run: Run, rollout: Rollout, *, copy: int) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """Headings and rows of one episode: in the environment's own words where it has some, else those of `replay`."""
    played = rollout.select(torch.tensor([copy], device=rollout.valid.device))
    corpus = from_rollouts(run.team, run.facts, [played], with_attention=False)
    reading = reading_of(run.env.env, agents=run.facts.agents, roles=run.facts.roles)
    if not (reading.seen and corpus.discrete and len(corpus)):
        return HEADINGS, replay(run, rollout, copy=copy)
    rows = [
        (
            *(condition.value(turn) for condition in reading.seen),
            reading.said(turn.says),
            reading.done(turn.does, role=turn.role),
            vector_label([float(rollout.rewards[turn.step, copy].mean())]),
        )
        for turn in turns(corpus)
    ]
    return (*(condition.heading for condition in reading.seen), reading.says, reading.does, HEADINGS[-1]), rows


def _heard(run: Run, rollout: Rollout) -> dict[tuple[int, str], list[str]]:
    """Return what each agent read in each step of a rollout of one copy."""
    heard: dict[tuple[int, str], list[str]] = {}
    vocabulary = run.team.channel.vocabulary
    for row in rows_of(run.team, run.facts, rollout, with_attention=False).itertuples():
        said = message_label(row.vector) if row.symbols is None else word_label(row.symbols, vocabulary=vocabulary)
        for hearer, step in zip(row.hearers, row.read, strict=True):
            if step is not None:
                heard.setdefault((step, hearer), []).append(said)
    return heard


def _turn(
    run: Run, rollout: Rollout, at: tuple[int, int, int], heard: dict[tuple[int, str], list[str]]
) -> tuple[str, ...]:
    t, copy, slot = at
    role, local = role_of(run.facts.roles, slot)
    acting = bool(rollout.acting[at])
    speaks = bool(rollout.speaking[at]) and bool(run.team.talks[slot]) and bool(rollout.messages)
    return (
        run.facts.agents[slot],
        seen_label(role.observation_space, _pick(rollout.observations[role.name], (t, copy, local))),
        meaning_label(rollout.meaning[at].tolist()),
        " · ".join(heard.get((t, run.facts.agents[slot]), [])),
        " · ".join(_said(run, rollout, at)) if speaks else "",
        ", ".join(_hearers(run, rollout, at)) or "nobody" if speaks else "",
        vector_label(rollout.actions[role.name][t, copy, local]) if acting else "",
    )


def role_of(roles: tuple[Role, ...], slot: int) -> tuple[Role, int]:
    """The role of a slot, and the agent's place within it."""
    for role in roles:
        if slot < len(role.agents):
            return role, slot
        slot -= len(role.agents)
    raise IndexError(slot)


def seen_label(space: spaces.Space, observation: Any) -> str:
    """An observation in short: numbers where there are few, else its size."""
    if isinstance(space, spaces.Dict):
        return "; ".join(f"{key} {seen_label(sub, observation[key])}" for key, sub in space.spaces.items())
    if observation.numel() > MAX_NUMBERS:
        return TIMES.join(map(str, observation.shape)) + " numbers"
    return vector_label(observation) if observation.numel() else NOTHING


def _said(run: Run, rollout: Rollout, at: tuple[int, int, int]) -> list[str]:
    return [
        message_label(m.payload[at]) if m.symbols is None else _spelt(run, m.symbols[at].tolist())
        for m in rollout.messages
    ]


def _spelt(run: Run, word: list[int]) -> str:
    channel = run.team.channel
    return word_label(up_to_the_end(word, ends=channel.ends_words), vocabulary=channel.vocabulary)


def _hearers(run: Run, rollout: Rollout, at: tuple[int, int, int]) -> list[str]:
    t, copy, sender = at
    edges = edges_of(rollout)
    mask = edges.mask.expand(*rollout.valid.shape, -1, -1)[t, copy]
    hears = mask & (senders_of(edges, rollout)[t, copy] == sender)
    return [run.facts.agents[n] for n in hears.any(-1).nonzero().flatten().tolist()]


def senders_of(edges: Edges, rollout: Rollout) -> Int[Tensor, "T B N K"]:
    """Return whom each place of an inbox listens to, in every step and copy of a rollout."""
    shape = (*rollout.valid.shape, *edges.mask.shape[-2:])
    slots = torch.arange(edges.mask.shape[-1], device=edges.mask.device)
    return slots.expand(shape) if edges.senders is None else edges.senders.expand(shape)


def _pick(tree: Any, at: tuple[int, int, int]) -> Any:
    return {key: _pick(value, at) for key, value in tree.items()} if isinstance(tree, dict) else tree[at]
