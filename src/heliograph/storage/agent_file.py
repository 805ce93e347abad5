"""One agent as a program that needs no Heliograph: `torch.export`, or ONNX where the extra `onnx` is installed."""

import contextlib
import importlib
import json
import logging
import pathlib
import warnings
from collections.abc import Iterator
from typing import Any, final

import torch
from gymnasium import spaces
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

import heliograph
from heliograph import distributions
from heliograph.models.blocks import leaf_spaces
from heliograph.registry import UnknownNameError
from heliograph.storage.atomic import replacing
from heliograph.storage.run_folder import Run, RunFolderError, read_run
from heliograph.team.alone import AgentMemory, LoneAgent, Thought
from heliograph.team.inputs import last_words
from heliograph.types import Choice, Timing, Tree

__all__ = ["AgentProgram", "export_agent"]

FORMATS = {"torch": ".pt2", "onnx": ".onnx"}
NEEDED = ("onnx", "onnxscript")
ABOUT = "heliograph.json"


@final
class AgentProgram(nn.Module):
    """A step of one agent as plain tensors, greedy, messages in execution form; no axis for copies or agents.

    Inputs: `observation` (a dict where the space is one), `heard` [R, N, P] and `heard_mask` [R, N] by round and sender
    (slots of `agents`, R at least 1), `memory` [S], `last_action` [U], `last_message` [C] (C is 0 where the agent is
    not told what it said), `num_steps` [1] of the episode, and `action_mask` [n] (n is 0 where there are no masks).
    Outputs: `action`, `payload` [R, P] and `leaves` [R] (what is said in each round, and whether), then `memory`,
    `last_action`, `last_message` and `num_steps` for the next step.
    """

    def __init__(self, agent: LoneAgent):
        super().__init__()
        if agent.team.channel.initial_state(1, 1, torch.device("cpu"), rounds=max(1, agent.rounds)) is not None:
            kind = type(agent.team.channel).__name__
            raise ValueError(f"channel {kind} keeps messages or budgets from step to step: use run.agent() in Python")
        self.agent, self.team = agent, agent.team
        self.num_rounds = max(1, agent.rounds)

    def forward(
        self, observation: Tree, heard: Tensor, heard_mask: Tensor, memory: Tensor, last_action: Tensor,
        last_message: Tensor, num_steps: Tensor, action_mask: Tensor,
    ) -> tuple[Tensor, ...]:  # fmt: skip
        """Move once."""
        agent = self.agent
        own = last_message if self.team.spells else None
        thought = agent.think(
            observation, memory=memory, last_action=last_action, last_message=own,
            age=num_steps, payloads=list(heard.unbind(0)), masks=list(heard_mask.unbind(0)), channel=None,
            rounds=agent.rounds,
        )  # fmt: skip
        inputs = agent.model.act(thought.hidden)[0, agent.place]
        mask = action_mask if num_maskable(agent.action_space) else None
        action = distributions.sample(agent.action_space, inputs, choice=Choice.GREEDY, mask=mask)
        done = distributions.features(agent.action_space, action.unsqueeze(0)).squeeze(0).float()
        return (
            action, *self._said(thought, last_message), thought.memory[0, agent.place].clone(), done,
            self._words(thought, last_message), num_steps + 1,
        )  # fmt: skip

    def _said(self, thought: Thought, like: Tensor) -> tuple[Tensor, Tensor]:
        size = self.team.channel.payload_size
        silent = torch.zeros(self.num_rounds, size), torch.zeros(self.num_rounds, dtype=torch.bool)
        if not thought.payloads:
            return silent
        return torch.stack([p[0, 0] for p in thought.payloads]), torch.stack([m[0, 0] for m in thought.leaves])

    def _words(self, thought: Thought, last_message: Tensor) -> Tensor:
        symbols = thought.symbols[-1] if thought.symbols else None
        everybody = torch.ones(1, 1, dtype=torch.bool)
        vocabulary = self.team.channel.vocabulary
        before = last_message.view(1, 1, -1) if self.team.spells else None
        words = last_words(before, symbols, vocabulary=vocabulary, speaking=everybody)
        return last_message.clone() if words is None else words[0, 0]

    def example(self) -> tuple[Any, ...]:
        """Inputs of the right shapes: an observation of zeros at the beginning of an episode."""
        begun: AgentMemory = self.agent.begin()
        agents, size = len(self.team.layout.agents), self.team.channel.payload_size
        said = torch.zeros(0) if begun.last_message is None else begun.last_message
        return (
            _zeros(self.agent.observation_space), torch.zeros(self.num_rounds, agents, size),
            torch.zeros(self.num_rounds, agents, dtype=torch.bool), begun.memory, begun.last_action, said,
            torch.zeros(1, dtype=torch.long), torch.ones(num_maskable(self.agent.action_space), dtype=torch.bool),
        )  # fmt: skip


NAMES_IN = ("heard", "heard_mask", "memory", "last_action", "last_message", "num_steps", "action_mask")
NAMES_OUT = ("action", "payload", "leaves", "next_memory", "next_last_action", "next_last_message", "next_num_steps")


def export_agent(
    run: Run | str | pathlib.Path,
    name: str,
    out: str | pathlib.Path,
    *,
    format: str = "torch",
    overwrite: bool = False,
    trust: bool = False,
) -> pathlib.Path:
    """Write one agent of a run as a program (`AgentProgram`) in one file; returns its path.

    `format` "torch" writes FILE.pt2, which `torch.export.load` reads; "onnx" writes FILE.onnx, for ONNX Runtime (needs
    the extra: pip install "heliograph[onnx]"). Raises `RunFolderError` where the file exists and is not to be replaced.
    """
    out = pathlib.Path(out)
    if format not in FORMATS:
        raise UnknownNameError(what="format", name=format, valid=list(FORMATS))
    if out.suffix != FORMATS[format]:
        raise RunFolderError(f"{out}: the name of such a file ends in {FORMATS[format]}")
    if (out.exists() or out.is_symlink()) and not overwrite:
        raise RunFolderError(f"{out} exists already: choose another name, or say so (overwrite=True, --overwrite)")
    if format == "onnx":
        _check_onnx()
    run = run if isinstance(run, Run) else read_run(run, trust=trust)
    program = AgentProgram(run.agent(name)).eval()
    about = json.dumps(_about(run, program), sort_keys=True)
    with replacing(out) as draft, torch.no_grad(), _quietly():
        exported = traced_program(program)
        if format == "torch":
            torch.export.save(exported, draft.with_suffix(".pt2"), extra_files={ABOUT: about})
            draft.with_suffix(".pt2").replace(draft)
        else:
            _write_onnx(exported, draft, program, about)
    return out


def traced_program(program: AgentProgram) -> torch.export.ExportedProgram:
    """The program as a graph that draws nothing: a channel's own noise and losses are left to the real medium."""
    example = program.example()
    with _NoDraws():
        return torch.export.export(program, example, strict=False)


class _NoDraws(TorchFunctionMode):
    """Has standard normal numbers be 0, and uniform ones a half."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        settings = dict(kwargs or {})
        if func in (torch.randn, torch.rand):
            settings.pop("generator", None)
            return torch.full(_shape(args), 0.0 if func is torch.randn else 0.5, **settings)
        return func(*args, **settings)


def _shape(args: tuple[Any, ...]) -> tuple[int, ...]:
    return tuple(args[0]) if args and not isinstance(args[0], int) else tuple(args)


def _write_onnx(exported: Any, draft: pathlib.Path, program: AgentProgram, about: str) -> None:
    names = [*leaf_spaces(program.agent.observation_space)]
    seen = ["observation" if len(names) == 1 and not names[0] else f"observation/{name}" for name in names]
    made = torch.onnx.export(exported, input_names=[*seen, *NAMES_IN], output_names=list(NAMES_OUT), verbose=False)
    if made is None:
        raise RuntimeError("torch.onnx made no program")
    model = made.model_proto
    importlib.import_module("onnx.helper").set_model_props(model, {ABOUT: about})
    draft.write_bytes(model.SerializeToString())


def _about(run: Run, program: AgentProgram) -> dict[str, Any]:
    agent = program.agent
    return {
        "agent": agent.name,
        "agents": list(program.team.layout.agents),
        "policy": agent.policy,
        "heard_in": "this step" if agent.timing is Timing.SAME_STEP else "the next step",
        "rounds": agent.rounds,
        "inputs": ["observation", *NAMES_IN],
        "outputs": list(NAMES_OUT),
        "observation_space": str(agent.observation_space),
        "action_space": str(agent.action_space),
        "exported_by": f"heliograph {heliograph.__version__}",
    }


def num_maskable(space: spaces.Space) -> int:
    """Return how many actions a mask speaks of; 0 where the space has none."""
    return int(space.n) if isinstance(space, spaces.Discrete) else 0


def _zeros(space: spaces.Space) -> Tree:
    if isinstance(space, spaces.Dict):
        return {key: _zeros(part) for key, part in space.spaces.items()}
    return torch.as_tensor(space.sample()) * 0


def _check_onnx() -> None:
    for package in NEEDED:
        try:
            importlib.import_module(package)
        except ImportError as error:
            raise ValueError(f'format=onnx needs {package}: pip install "heliograph[onnx]"') from error


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """Without what PyTorch's exporter says of itself."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
