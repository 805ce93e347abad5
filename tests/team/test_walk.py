"""The way of one message through the code is short: functions that a step visits, and how often it turns back."""

import pathlib
import sys
from types import FrameType
from typing import Any

import heliograph
import heliograph.team
from heliograph.team.state import StepOutput
from heliograph.team.step import step
from tests.parts import make_sampler

TEAM = pathlib.Path(heliograph.team.__path__[0])
MOST_STAYS = 8
"""Functions of the runtime that one step of a team with one policy passes through, in the order of the paper."""


def walked(run: Any) -> tuple[list[str], int]:
    """Functions of `heliograph.team` that are called, in the order of first calls, and the deepest nesting."""
    names: list[str] = []
    depth = deepest = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal depth, deepest
        if pathlib.Path(frame.f_code.co_filename).parent != TEAM or frame.f_code.co_name.startswith("<"):
            return
        if event == "call":
            depth += 1
            deepest = max(deepest, depth)
            name = f"{pathlib.Path(frame.f_code.co_filename).stem}.{frame.f_code.co_qualname}"
            if name not in names:
                names.append(name)
        elif event == "return":
            depth -= 1

    sys.setprofile(note)
    try:
        run()
    finally:
        sys.setprofile(None)
    return names, deepest


def test_a_step_reads_from_top_to_bottom(monkeypatch: Any) -> None:
    sampler = make_sampler("identity", model="commnet", channel="dru")
    sampler.fragment(1)
    seen: list[StepOutput] = []
    given: list[tuple[Any, ...]] = []

    def kept(*arguments: Any) -> StepOutput:
        given.append(arguments)
        seen.append(step(*arguments))
        return seen[-1]

    monkeypatch.setattr("heliograph.team.act.step", kept)
    sampler.fragment(1)
    names, deepest = walked(lambda: step(*given[0]))
    own = [name for name in names if name.split(".")[0] in ("step", "draws", "inbox")]
    assert own[0] == "step.step" and deepest <= 3, names
    heart = [name for name in own if name.startswith("step.")]
    assert heart == ["step.step", "step.run_core", "step.offered", "step.encode_messages", "step.aggregate_messages"]
    assert len(heart) <= MOST_STAYS


def test_what_is_replayed_is_what_was_played() -> None:
    """Acting and unrolling differ only in where draws come from."""
    sampler = make_sampler("mixed", model="tarmac", channel="symbols-score")
    rollout = sampler.fragment(3)
    unrolled = sampler.team.unroll(rollout)
    for said, again in zip(rollout.messages, unrolled.messages, strict=True):
        assert said.symbols is not None and again.symbols is not None and (said.symbols == again.symbols).all()
