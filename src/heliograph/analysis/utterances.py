"""From aligned tensors to rows: which messages were said, who could hear them, and what each hearer did then."""

import dataclasses

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from heliograph.analysis.arrivals import arrived, times_of_arrival
from heliograph.analysis.utterance_columns import (
    SCHEMA,
    Ragged,
    filled,
    frame_of,
    lists_in,
    lists_of_equal_length,
    names_at,
    ragged_lists,
    words_up_to_the_end,
)
from heliograph.channels.base import Channel
from heliograph.experiments.choices import EnvFacts
from heliograph.rollouts.rollout import Rollout
from heliograph.team.attention import attention_in
from heliograph.team.team import Team
from heliograph.types import Edges, Message, Timing


@dataclasses.dataclass(kw_only=True)
class Spoken:
    """Record of where something was said: time, copy and sender of each utterance of a round, in the order of rows.

    `arrives` is the step in which it arrives, -1 where it never does; `arrived` tells whose messages arrive in which.
    """

    time: Int[Tensor, " n"]
    copy: Int[Tensor, " n"]
    sender: Int[Tensor, " n"]
    arrives: Int[Tensor, " n"]
    arrived: Bool[Tensor, "T B N"]


def rows_of(
    team: Team, facts: EnvFacts, rollout: Rollout, *, first_episode: int = 0, with_attention: bool = True
) -> pd.DataFrame:
    """One row for each utterance of a rollout of whole episodes, ordered by episode, step, round and sender.

    Attention takes about as long as playing the episodes did.
    """
    return frame_of(table_of(team, facts, rollout, first_episode=first_episode, with_attention=with_attention))


def table_of(
    team: Team, facts: EnvFacts, rollout: Rollout, *, first_episode: int = 0, with_attention: bool = True
) -> pa.Table:
    """The same rows as an Arrow table with the columns of `SCHEMA` but `message`, a tenth of the memory."""
    spoke = rollout.speaking & rollout.valid.unsqueeze(-1) & team.talks
    if not rollout.messages:
        return SCHEMA.empty_table().drop_columns("message")
    weights = attention_in(team, rollout) if with_attention else None
    tables = [
        _table_of_round(team, facts, rollout, _spoken(team, spoke, mask), spoke, r, first_episode,
                        None if weights is None else weights[r])
        for r, mask in enumerate(arrived(team, rollout))
    ]  # fmt: skip
    if len(tables) == 1:
        return tables[0]
    table = pa.concat_tables(tables)
    keys = [table[name].to_numpy() for name in ("round", "step", "episode")]
    return table.take(np.lexsort(keys))


def _spoken(team: Team, spoke: Bool[Tensor, "T B N"], mask: Bool[Tensor, "T B N"]) -> Spoken:
    copy, time, sender = spoke.transpose(0, 1).nonzero(as_tuple=True)
    times = times_of_arrival(mask, delay_env_steps=team.channel.delay_env_steps)
    return Spoken(time=time, copy=copy, sender=sender, arrives=times[time, copy, sender], arrived=mask)


def _table_of_round(
    team: Team, facts: EnvFacts, rollout: Rollout, said: Spoken, spoke: Bool[Tensor, "T B N"], index: int,
    first_episode: int, weights: Float[Tensor, "T B N K"] | None,
) -> pa.Table:  # fmt: skip
    time, copy, sender = said.time, said.copy, said.sender
    message, size = rollout.messages[index], len(time)
    slots = sender.numpy(force=True)
    heard = _heard(team, facts, rollout, said, index=index, weights=weights)
    gates = _gates(team, message)
    spoken, ends = message.symbols, team.channel.ends_words
    words = None if spoken is None else words_up_to_the_end(spoken[time, copy, sender], ends=ends)
    columns = {
        "episode": pa.array(first_episode + copy.numpy(force=True)),
        "step": pa.array(time.numpy(force=True)),
        "round": filled(index, size, pa.int64()),
        "sender": names_at(facts.agents, slots),
        "role": names_at([role.name for role in facts.roles for _ in role.agents], slots),
        "hearers": heard.hearers,
        "symbols": words,
        "vector": None if in_words(team.channel) else lists_of_equal_length(message.payload[time, copy, sender]),
        "length": pc.list_value_length(words) if ends else filled(team.channel.length, size, pa.int64()),
        "bits": pa.array(message.bits[time, copy, sender].double().numpy(force=True)),
        "meaning": lists_of_equal_length(rollout.meaning[time, copy, sender]),
        "actions": heard.actions,
        "reward": pa.array(_rewards(rollout, spoke)[time, copy, sender].numpy(force=True)),
        "action": ragged_lists(_actions(facts, rollout, copy=copy, slot=sender, time=time)),
        "read": heard.read,
        "attention": heard.attention,
        "gate": None if gates is None else pa.array(gates[time, copy, sender].numpy(force=True)),
    }
    fields = [field for field in SCHEMA if field.name != "message"]
    found = [pa.nulls(size, f.type) if columns[f.name] is None else columns[f.name].cast(f.type) for f in fields]
    return pa.Table.from_arrays(found, schema=pa.schema(fields))


def in_words(channel: Channel) -> bool:
    """Tell whether what is said are symbols, not vectors, whatever wraps them: a gate has symbols of its own."""
    return channel.alphabet is not None


def groups_of_slots(team: Team) -> list[tuple[str, str]]:
    """Role and policy of each agent: who shares both shares a code; where it has several policies the first."""
    policies = [team.layout.policies[index] for index in team.layout.default_assignment().tolist()]
    roles = [role.name for role in team.layout.roles for _ in role.agents]
    return list(zip(roles, policies, strict=True))


def _gates(team: Team, message: Message) -> Bool[Tensor, "T B N"] | None:
    """Return who said anything; None where nobody may be silent."""
    if not team.channel.can_be_silent or message.symbols is None:
        return None
    return (message.symbols > 0).any(-1)


def _rewards(rollout: Rollout, spoke: Bool[Tensor, "T B N"]) -> Float[Tensor, "T B N"]:
    """The team's mean reward from an utterance until the same sender's next one, or the end of the episode."""
    reward = rollout.rewards.double().mean(-1) * rollout.valid
    found = torch.zeros(spoke.shape, dtype=torch.double, device=spoke.device)
    following = torch.zeros_like(found[0])
    for t in reversed(range(len(found))):
        following = following + reward[t].unsqueeze(-1)
        found[t] = following
        following = torch.where(spoke[t], 0.0, following)
    return found


@dataclasses.dataclass(kw_only=True)
class Reception:
    """For each utterance its hearers; for each of them when it read it, what it did then, and the weight it gave it.

    Null: it never read it; it was not asked to act then, or never read it; it does not attend, or never read it.
    """

    hearers: pa.Array
    read: pa.Array
    actions: pa.Array
    attention: pa.Array | None


def _heard(
    team: Team, facts: EnvFacts, rollout: Rollout, said: Spoken, *, index: int,
    weights: Float[Tensor, "T B N K"] | None,
) -> Reception:  # fmt: skip
    hearing, row = _hearings(rollout, said)
    read = _reading_time(team, rollout, hearing, round_index=index)
    done = _actions(facts, rollout, copy=hearing.copy, slot=hearing.hearer, time=read)
    cuts = np.searchsorted(row.numpy(force=True), np.arange(len(said.time) + 1))
    steps = read.numpy(force=True)
    return Reception(
        hearers=lists_in(names_at(facts.agents, hearing.hearer.numpy(force=True)), cuts),
        read=lists_in(pa.array(steps, mask=steps < 0), cuts),
        actions=lists_in(ragged_lists(done), cuts),
        attention=None if weights is None else lists_in(_weights(weights, hearing, read), cuts),
    )


def _weights(weights: Float[Tensor, "T B N K"], hearing: "Hearing", read: Int[Tensor, " e"]) -> pa.Array:
    """Return what each hearer gave to each utterance when it read it; null where it never did, or does not attend."""
    given = weights[read.clamp(min=0), hearing.copy, hearing.hearer, hearing.slot].double()
    unknown = (read < 0) | given.isnan()
    return pa.array(given.numpy(force=True), mask=unknown.numpy(force=True), from_pandas=False)


@dataclasses.dataclass(kw_only=True)
class Hearing:
    """One entry for each pair of an utterance and an agent that can hear it when it arrives, at `time`.

    `slot` is the place in its inbox.
    """

    time: Int[Tensor, " e"]
    copy: Int[Tensor, " e"]
    hearer: Int[Tensor, " e"]
    slot: Int[Tensor, " e"]
    sender: Int[Tensor, " e"]
    replaced: Int[Tensor, " e"]


def edges_of(rollout: Rollout) -> Edges:
    """Return who could hear whom in each step, or in all of them (a leading axis of size 1)."""
    edges = rollout.static_edges if rollout.edges is None else rollout.edges
    if edges is None:
        raise ValueError("rollout has no edges: it was not recorded by heliograph.rollouts.sampler")
    return edges


def _hearings(rollout: Rollout, said: Spoken) -> tuple[Hearing, Int[Tensor, " e"]]:
    """Pairs of utterance and hearer when it arrives, with the utterance's row; ordered by row, then by hearer."""
    edges = edges_of(rollout)
    row_of = torch.full(rollout.speaking.shape, -1, device=rollout.speaking.device)
    row = (said.arrives >= 0).nonzero().squeeze(1)
    row_of[said.arrives[row], said.copy[row], said.sender[row]] = row
    mask = edges.mask.expand(*rollout.valid.shape, -1, -1)
    copy, time, slot, hearer = mask.permute(1, 0, 3, 2).nonzero(as_tuple=True)
    senders = None if edges.senders is None else edges.senders.expand(mask.shape)
    sender = slot if senders is None else senders[time, copy, hearer, slot]
    row = row_of[time, copy, sender]
    order = _in_order(row, row * rollout.speaking.shape[-1] + hearer)
    if order is not None:
        time, copy, hearer, slot, sender, row = (x[order] for x in (time, copy, hearer, slot, sender, row))
    if senders is None:  # symbolic edges keep one payload for each sender, whoever hears it
        replaced = first_from(said.arrived)[time + 1, copy, sender]
    else:
        fresh = mask & said.arrived.gather(2, senders.flatten(2)).view(mask.shape)
        replaced = first_from(fresh)[time + 1, copy, hearer, slot]
    return Hearing(time=time, copy=copy, hearer=hearer, slot=slot, sender=sender, replaced=replaced), row


def _in_order(row: Int[Tensor, " e"], key: Int[Tensor, " e"]) -> Int[Tensor, " _k"] | None:
    """The entries that have a row, by their key; None where that is all of them as they are."""
    said = row >= 0
    if bool((key[1:] >= key[:-1]).all()):
        return None if bool(said.all()) else said.nonzero().squeeze(1)
    order = key.argsort(stable=True)
    return order[said[order]]


def _reading_time(team: Team, rollout: Rollout, hearing: Hearing, *, round_index: int) -> Int[Tensor, " e"]:
    """The step in which each hearer reads each utterance; -1 where it is never read.

    An inbox waits until its owner observes; a newer message in the same place replaces an unread one, and the end of
    either agent's part takes it away. Messages of later rounds are read at once or never.
    """
    time, copy, hearer = hearing.time, hearing.copy, hearing.hearer
    late = _reads_late(team).to(time.device)[hearer] & (round_index == 0)
    looks = first_from(rollout.observing[:-1])
    read = looks[time + late.long(), copy, hearer]
    ends = first_from(rollout.terminated | rollout.truncated)
    last = torch.minimum(ends[time, copy, hearer], ends[time, copy, hearing.sender])
    last = torch.minimum(last, hearing.replaced - 1 + late.long())
    last = time if round_index else last.clamp(max=rollout.num_steps - 1)
    return torch.where(read <= last, read, -1)


def _reads_late(team: Team) -> Bool[Tensor, " N"]:
    flags = torch.zeros(len(team.layout.agents), dtype=torch.bool)
    for policy, seats in team.layout.seats.items():
        flags[list(seats.slots)] |= team.policies[policy].model.timing is Timing.NEXT_STEP
    return flags


def first_from(flags: Bool[Tensor, "T *rest"]) -> Int[Tensor, "T1 *rest"]:
    """For each time, and for one past the end, the first time from then on at which the flag is set; T for never."""
    num_steps = len(flags)
    times = torch.arange(num_steps + 1, device=flags.device).view(-1, *[1] * (flags.dim() - 1))
    padded = torch.cat([flags, torch.ones_like(flags[:1])])
    return torch.where(padded, times, num_steps).flip(0).cummin(0).values.flip(0)


def _actions(
    facts: EnvFacts, rollout: Rollout, *, copy: Int[Tensor, " e"], slot: Int[Tensor, " e"], time: Int[Tensor, " e"]
) -> Ragged:
    """Actions of agents in some steps, as rows of numbers; none where they were not asked to act, or time is -1."""
    acts = (time >= 0) & rollout.acting[time, copy, slot]
    rows, values, start = [], [], 0
    for role in facts.roles:
        stop = start + len(role.agents)
        chosen = (acts & (slot >= start) & (slot < stop)).nonzero().squeeze(1)
        done = rollout.actions[role.name][time[chosen], copy[chosen], slot[chosen] - start]
        rows.append(chosen.numpy(force=True))
        values.append(done.unsqueeze(-1).flatten(1).double().numpy(force=True))
        start = stop
    return Ragged(size=len(time), rows=rows, values=values)
