"""An agent that was exported does what it does in Python, whoever runs the file."""

import json
import pathlib
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from heliograph.cli import main
from heliograph.registry import UnknownNameError
from heliograph.storage.agent_file import ABOUT, AgentProgram, export_agent, num_maskable, traced_program
from heliograph.storage.run_folder import Run, RunFolderError, read_run
from heliograph.team.alone import LoneAgent
from heliograph.testing.small_teams import ENVS
from tests.parts import MODELS, make_team

Program = Callable[..., Any]
STEPS = 25


def compared(agent: LoneAgent, program: Program, *, steps: int = STEPS) -> int:
    """Play random observations and mail through both; returns how many different actions there were."""
    memory, state = agent.begin(), list(AgentProgram(agent).example()[3:7])
    agents, generator, actions = agent.team.layout.agents, np.random.default_rng(0), set()
    agent.observation_space.seed(0)
    for _ in range(steps):
        seen = torch.as_tensor(agent.observation_space.sample())
        boxes, heard, mask = [], [], []
        for _ in range(max(1, agent.rounds)):
            symbols = torch.as_tensor(generator.integers(0, 2, (len(agents), agent.team.channel.payload_size))).float()
            who = torch.as_tensor(generator.random(len(agents)) < 0.5)
            who[agent.slot] = False
            boxes.append({name: symbols[i] for i, name in enumerate(agents) if who[i]})
            heard.append(symbols * who.unsqueeze(-1))
            mask.append(who)
        legal = torch.ones(num_maskable(agent.action_space), dtype=torch.bool)
        out = agent.act(seen, boxes, memory)
        action, payload, leaves, *state = program(seen, torch.stack(heard), torch.stack(mask), *state, legal)
        assert torch.equal(action, out.action)
        for r, message in enumerate(out.messages):
            assert bool(leaves[r]) == (message is not None)
            assert message is None or torch.allclose(payload[r], message.payload, atol=1e-5)
        assert torch.allclose(state[0], out.memory.memory, atol=1e-4)
        memory = out.memory
        actions.add(int(action))
    return len(actions)


@pytest.fixture(scope="module")
def run() -> Run:
    return read_run("recipe:commnet_predator_prey_5x5")


@pytest.fixture(scope="module")
def torch_file(run: Run, tmp_path_factory: pytest.TempPathFactory) -> pathlib.Path:
    return export_agent(run, "predator_1", tmp_path_factory.mktemp("agent") / "agent.pt2")


def test_a_torch_program_does_what_the_agent_does(run: Run, torch_file: pathlib.Path) -> None:
    extra = {ABOUT: ""}
    program = torch.export.load(torch_file, extra_files=extra).module()
    with torch.no_grad():
        assert compared(run.agent("predator_1"), program) >= 3
    assert json.loads(extra[ABOUT])["agents"] == ["predator_0", "predator_1", "predator_2"]


def test_onnx_runtime_does_what_the_agent_does(run: Run, tmp_path: pathlib.Path) -> None:
    pytest.importorskip("onnxscript")
    runtime = pytest.importorskip("onnxruntime")
    session = runtime.InferenceSession(export_agent(run, "predator_1", tmp_path / "agent.onnx", format="onnx"))
    names = [one.name for one in session.get_inputs()]

    def program(*given: torch.Tensor) -> list[torch.Tensor]:
        found = session.run(None, dict(zip(names, (one.numpy() for one in given), strict=True)))
        return [torch.as_tensor(one) for one in found]

    assert compared(run.agent("predator_1"), program) >= 3


@pytest.mark.parametrize("model", ["cnet", "commnet-rounds", "ic3net", "tarmac"])
def test_programs_of_all_kinds_of_models(model: str) -> None:
    world = ENVS["identity"](num_envs=1)
    agent = LoneAgent(make_team(world, model=MODELS[model], channel="symbols-score"), "agent_1")
    program = AgentProgram(agent).eval()
    with torch.no_grad():
        compared(agent, traced_program(program).module(), steps=5)


def test_programs_draw_nothing() -> None:
    world = ENVS["identity"](num_envs=1)
    program = AgentProgram(LoneAgent(make_team(world, model="cnet", channel="lossy+dru"), "agent_1")).eval()
    graph = traced_program(program).graph
    assert not [node for node in graph.nodes if "rand" in str(node.target)]


def test_what_cannot_be_exported_is_told(run: Run, torch_file: pathlib.Path) -> None:
    out = torch_file.parent
    with pytest.raises(RunFolderError, match="exists already"):
        export_agent(run, "predator_1", torch_file)
    with pytest.raises(RunFolderError, match=r"ends in \.pt2"):
        export_agent(run, "predator_1", out / "agent.onnx")
    with pytest.raises(UnknownNameError, match="format"):
        export_agent(run, "predator_1", out / "b.pt2", format="tflite")
    with pytest.raises(UnknownNameError, match="predator_2"):
        export_agent(run, "predator_7", out / "b.pt2")
    world = ENVS["identity"](num_envs=1)
    with pytest.raises(ValueError, match=r"Delayed keeps messages .* run\.agent\(\)"):
        AgentProgram(LoneAgent(make_team(world, model="cnet", channel="delayed+dru"), "agent_1"))


def test_the_command_exports_an_agent(tmp_path: pathlib.Path, capsys: Any) -> None:
    out = tmp_path / "listener.pt2"
    command = ["export", "recipe:speaker_listener_symbols", str(out), "--agent", "listener_0"]
    assert main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["agent"] == "listener_0" and out.is_file()
    assert main(command) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert main([*command, "--policy", "listener"]) == 2
    assert "--agent" in capsys.readouterr().err
