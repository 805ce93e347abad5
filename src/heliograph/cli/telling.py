"""The commands that tell what a team says: `protocol`, its decision table, and `replay`, its episodes turn by turn."""

from collections.abc import Callable, Sequence
from typing import Any

from heliograph.cli.shown import console, formatted, print_table
from heliograph.protocols.labels import percent
from heliograph.protocols.protocol import Protocol, protocol_in
from heliograph.protocols.replay_text import MAX_ROWS, told
from heliograph.storage.run_folder import Run
from heliograph.types import Choice

__all__ = ["episodes_told", "run_protocol", "run_replay", "show_episodes", "show_protocol"]

Shown = tuple[Any, Callable[[Any], None]]


def run_protocol(given: Any) -> Shown:
    """`heliograph protocol`."""
    from heliograph.cli.reading import named_run_folder

    named_run_folder(given.run)
    found = protocol_in(given.run, num_episodes=given.episodes, seed=given.seed, trust=given.trust)
    return found.as_json(), lambda _: show_protocol(found)


def run_replay(given: Any) -> Shown:
    """`heliograph replay`."""
    from heliograph.cli.reading import run_of

    how: dict[str, Any] = {"num_episodes": given.episodes, "seed": given.seed, "choice": Choice(given.actions)}
    found = episodes_told(run_of(given), **how)
    return {"episodes": found}, lambda _: show_episodes(found)


def episodes_told(run: Run, *, num_episodes: int, seed: int, choice: Choice = Choice.GREEDY) -> list[dict[str, Any]]:
    """Fresh episodes, messages as sent: headings and rows, return, and success where it is known."""
    from heliograph.analysis.evaluate import play_run

    played = play_run(run, num_episodes=num_episodes, seed=seed, choice=choice)
    found: list[dict[str, Any]] = []
    for rollout in played.rollouts:
        for copy in range(rollout.num_envs):
            headings, rows = told(run, rollout, copy=copy)
            success = float(played.episodes.success[len(found)])
            found.append(
                {
                    "episode": len(found),
                    "headings": headings,
                    "rows": rows,
                    "episode_return": float(played.episodes.returns[len(found)]),
                    "success": None if success != success else bool(success),
                }
            )
    return found


def show_protocol(found: Protocol) -> None:
    """Print the table, what messages mean, and what the table earns."""
    out = console()
    for part in found.tables:
        print_table(part.headings, part.rows())
        turns = f"{part.num_turns:,} turns of role {part.role} in {found.num_episodes:,} episodes"
        out.print(f"This is what was said and done in {percent(part.followed)} of the {turns}.\n")
    for meaning in found.meanings:
        out.print(f"What role {meaning.role} means by what it says:")
        for line in meaning.words(found.reading):
            out.print(f"  {line}")
    if found.played is not None:
        played, team = formatted(found.played.normalised_return), formatted(found.team_normalised_return)
        verdict = "this protocol is optimal" if found.optimal else "this protocol is not optimal"
        if found.meanings:
            out.print()
        out.print(
            f"Played by itself over all visiting sequences, the table earns {played} of the return of full "
            f"information, and the team {team}: {verdict}."
        )


def show_episodes(episodes: Sequence[dict[str, Any]]) -> None:
    """Print episodes as tables, each with its outcome."""
    for place, episode in enumerate(episodes):
        rows = episode["rows"]
        console().print(f"{'' if not place else chr(10)}episode {episode['episode']}")
        print_table(episode["headings"], rows[:MAX_ROWS])
        cut = f"; {len(rows) - MAX_ROWS} more turns" if len(rows) > MAX_ROWS else ""
        success = {None: "", True: ", success", False: ", no success"}[episode["success"]]
        console().print(f"return {episode['episode_return']:.3g}{success}{cut}")
