"""What hearers of a team would do after each message, as what measures are computed from: for pairs of its roles."""

from heliograph.analysis.hearers import hearer_probabilities
from heliograph.analysis.material import Material, material_from
from heliograph.analysis.measures.measure import Measure, Needs
from heliograph.storage.run_folder import Run

__all__ = ["asks_hearers", "hearer_materials"]

OF_HEARERS = {Needs.ACTION_PROBABILITIES, Needs.MESSAGE_PROBABILITIES, Needs.SILENT_PROBABILITIES}
MOST_EPISODES = 100
"""So many episodes are played at most: each is asked about once for every word."""


def asks_hearers(measure: Measure) -> bool:
    """Tell whether a measure takes what a hearer would do, which no corpus holds, and a team tells."""
    return not OF_HEARERS.isdisjoint(measure.needs)


def hearer_materials(run: Run, *, num_episodes: int, seed: int) -> list[Material]:
    """Ask, for each role that speaks and each that hears it, the first hearer about the messages of the first sender.

    The role of a material is "sender -> hearer". Pairs in which nothing is ever heard, or whose hearer acts in real
    numbers, have none.
    """
    if run.team.silent:
        return []
    talks = dict(zip(run.facts.agents, run.team.talks.tolist(), strict=True))
    found = []
    for speaking in run.facts.roles:
        senders = [agent for agent in speaking.agents if talks[agent]]
        for hearing in run.facts.roles if senders else ():
            hearers = [agent for agent in hearing.agents if agent != senders[0]]
            material = _between(run, senders[0], hearers[0], num_episodes, seed) if hearers else None
            if material is not None:
                found.append(material)
    return found


def _between(run: Run, sender: str, hearer: str, num_episodes: int, seed: int) -> Material | None:
    try:
        asked = hearer_probabilities(
            run, sender=sender, hearer=hearer, num_episodes=min(num_episodes, MOST_EPISODES), seed=seed
        )
    except ValueError:  # the hearer never reads anything of this sender, or chooses among no finite number of actions
        return None
    known = asked.said >= 0
    if not known.any():
        return None
    roles = [f"{sender} -> {hearer}"] * int(known.sum())
    return material_from({**asked.as_columns(), "roles": roles, "episodes": asked.episode[known]})
