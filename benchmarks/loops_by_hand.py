"""Three training loops written by hand for the networks of three tasks, as one who knows PyTorch would write them.

No class of Heliograph but the environment: tensors, `torch.nn`, `torch.optim`. Each loop knows its task: that the
speaker speaks in the first step and the listener guesses in the second, that all cars hear each other, that the light
switch is read by whoever comes next. `weights` copies a learner's weights into the loop's networks, and `loss_of` is
the loss of a rollout that Heliograph has sampled: `hand_written.py` checks that both find the same.
"""

import copy
from abc import ABC, abstractmethod
from typing import Any

import torch
from torch import Tensor, nn
from torch.distributions import Categorical

MASKED = -1e9


def copied(layers: list[nn.Module], state: dict[str, Tensor], names: list[str]) -> None:
    """Fill layers with the weights of those names."""
    for layer, name in zip(layers, names, strict=True):
        own = {key: state[f"{name}.{key}"] for key, _ in layer.named_parameters()}
        layer.load_state_dict(own)


class Loop(nn.Module, ABC):
    """Networks and a training loop over one environment."""

    optimiser: torch.optim.Optimizer

    def __init__(self, env: Any):
        super().__init__()
        self.env = env

    @abstractmethod
    def weights(self, state: dict[str, Tensor]) -> None:
        """Take over a learner's weights."""

    @abstractmethod
    def sample(self) -> Any:
        """Play a batch."""

    @abstractmethod
    def update(self, batch: Any) -> None:
        """Learn from it."""

    @abstractmethod
    def loss_of(self, rollout: Any) -> Tensor:
        """The loss of a rollout of Heliograph's, all of it at once."""


def mlp(size: int, *, units: int = 64) -> nn.Sequential:
    """A value network of two layers of tanh units."""
    return nn.Sequential(nn.Linear(size, units), nn.Tanh(), nn.Linear(units, units), nn.Tanh(), nn.Linear(units, 1))


class SpeakerListener(Loop):
    """PPO on `speaker_listener`: 64 x 64 policies and values, one of four symbols, two minibatches, four epochs."""

    def __init__(self, env: Any, *, epochs: int = 4, minibatches: int = 2, clip: float = 0.2, lr: float = 1e-3):
        super().__init__(env)
        self.epochs, self.minibatches, self.clip = epochs, minibatches, clip
        self.speaker = nn.Sequential(nn.Linear(3, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 4))
        self.turn, self.hear = nn.Linear(1, 64), nn.Linear(4, 64)
        self.middle, self.guess = nn.Linear(64, 64), nn.Linear(64, 3)
        self.speaker_value, self.listener_value = mlp(3), mlp(1)
        self.optimiser = torch.optim.Adam(self.parameters(), lr=lr, eps=1e-5, fused=True)

    def weights(self, state: dict[str, Tensor]) -> None:
        torso = "policy.model.torso.observation.flat"
        own = [self.speaker[0], self.speaker[2], self.speaker[4], *self.speaker_value[::2]]
        values = [f"critic.net.{i}" for i in (0, 2, 4)]
        names = [torso, "policy.model.middle", "policy.message_encoder", *values]
        copied(own, state, [f"speaker.{name}" for name in names])
        own = [self.turn, self.hear, self.middle, self.guess, *self.listener_value[::2]]
        names = [torso, "policy.message_decoder", "policy.model.middle", "policy.model.head", *values]
        copied(own, state, [f"listener.{name}" for name in names])

    def says(self, goal: Tensor) -> Categorical:
        return Categorical(logits=self.speaker(goal), validate_args=False)

    def guesses(self, turn: Tensor, symbol: Tensor) -> Categorical:
        heard = self.hear(nn.functional.one_hot(symbol, 4).float())
        hidden = torch.tanh(self.middle(torch.tanh(self.turn(turn)) + heard))
        return Categorical(logits=self.guess(hidden), validate_args=False)

    def values(self, goal: Tensor, turn: Tensor) -> Tensor:
        return torch.cat([self.speaker_value(goal), self.listener_value(turn)], 1)

    @torch.no_grad()
    def sample(self) -> dict[str, Tensor]:
        shown = self.env.reset()
        goal = shown.observations["speaker"][:, 0]
        said = self.says(goal)
        symbol = said.sample()
        nothing = torch.zeros(len(goal), 1, dtype=torch.long)
        shown = self.env.step({"speaker": nothing, "listener": nothing})
        turn = shown.observations["listener"][:, 0]
        guessed = self.guesses(turn, symbol)
        guess = guessed.sample()
        shown = self.env.step({"speaker": nothing, "listener": guess[:, None]})
        log_prob = torch.stack([said.log_prob(symbol), guessed.log_prob(guess)], 1)
        return {
            "goal": goal, "symbol": symbol, "turn": turn, "guess": guess, "log_prob": log_prob,
            "reward": shown.rewards,
        }  # fmt: skip

    def prepare(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        with torch.no_grad():
            advantage = batch["reward"] - self.values(batch["goal"], batch["turn"])
            spread = (advantage.var(unbiased=False) + 1e-8).sqrt()
        return {**batch, "advantage": (advantage - advantage.mean()) / spread}

    def loss(self, part: dict[str, Tensor]) -> dict[str, Tensor]:
        said, guessed = self.says(part["goal"]), self.guesses(part["turn"], part["symbol"])
        log_prob = torch.stack([said.log_prob(part["symbol"]), guessed.log_prob(part["guess"])], 1)
        log_ratio = log_prob - part["log_prob"]
        ratio, advantage = log_ratio.exp(), part["advantage"]
        policy = -torch.min(ratio * advantage, ratio.clamp(1 - self.clip, 1 + self.clip) * advantage).mean()
        errors = self.values(part["goal"], part["turn"]) - part["reward"]
        value = 0.5 * errors.square().mean()
        with torch.no_grad():
            kl = ((ratio - 1) - log_ratio).mean()
            clipped = ((ratio - 1).abs() > self.clip).float().mean()
            entropy, words = guessed.entropy().mean(), said.entropy().mean()
        return {
            "loss": policy + 0.5 * value, "policy": policy, "value": value, "kl": kl, "clipped": clipped,
            "entropy": entropy, "message_entropy": words,
        }  # fmt: skip

    def update(self, batch: dict[str, Tensor]) -> dict[str, float]:
        batch, logged = self.prepare(batch), []
        size = len(batch["goal"])
        for _ in range(self.epochs):
            for copies in torch.randperm(size).split(size // self.minibatches):
                found = self.loss({key: value[copies] for key, value in batch.items()})
                self.optimiser.zero_grad()
                found["loss"].backward()
                found["norm"] = nn.utils.clip_grad_norm_(self.parameters(), 0.5)
                self.optimiser.step()
                logged.append(torch.stack([value.detach() for value in found.values()]))
        return dict(zip(found, torch.stack(logged).mean(0).tolist(), strict=True))

    def loss_of(self, rollout: Any) -> Tensor:
        log_prob = torch.stack([rollout.message_log_prob[0, :, 0], rollout.action_log_prob[1, :, 1]], 1)
        batch = {
            "goal": rollout.observations["speaker"][0, :, 0], "symbol": rollout.messages[0].symbols[0, :, 0, 0],
            "turn": rollout.observations["listener"][1, :, 0], "guess": rollout.actions["listener"][1, :, 0],
            "log_prob": log_prob, "reward": rollout.rewards[1],
        }  # fmt: skip
        return self.loss(self.prepare(batch))["loss"]


class Junction(Loop):
    """A2C in the trainer of IC3Net: an LSTM of 128 units that hears the mean of the others' hidden states."""

    def __init__(self, env: Any, *, units: int = 128, gap: int = 10, vf_coeff: float = 0.02):
        super().__init__(env)
        self.gap, self.vf_coeff, self.units = gap, vf_coeff, units
        size = env.roles[0].observation_space.shape[0]
        self.seen, self.others = nn.Linear(size, units), nn.Linear(units, units, bias=False)
        self.cell = nn.LSTMCell(units, units)
        self.head, self.value = nn.Linear(units, 2), nn.Linear(units, 1)
        self.not_self = 1 - torch.eye(env.num_agents)
        self.optimiser = torch.optim.RMSprop(self.parameters(), lr=1e-3, alpha=0.97, eps=1e-6, foreach=True)

    def weights(self, state: dict[str, Tensor]) -> None:
        own = [self.seen, self.others, self.cell, self.head, self.value]
        names = ["policy.model.torso.observation.flat", *(f"policy.model.{n}" for n in ("others", "cell", "head"))]
        copied(own, state, [f"car.{name}" for name in [*names, "critic.net.0"]])

    def step(self, seen: Tensor, state: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Move the LSTM of all cars; the state is hidden, cell, and who hears whom `[B, N, N]`."""
        hidden, cell, hears = state
        mean = hears @ hidden / hears.sum(-1, keepdim=True).clamp(min=1)
        x = self.seen(seen) + self.others(mean)
        hidden, cell = self.cell(x.flatten(0, 1), (hidden.flatten(0, 1), cell.flatten(0, 1)))
        return hidden.unflatten(0, seen.shape[:2]), cell.unflatten(0, seen.shape[:2])

    def start(self, copies: int) -> tuple[Tensor, ...]:
        number = len(self.not_self)
        return (*torch.zeros(2, copies, number, self.units), torch.zeros(copies, number, number))

    def goes_on(self, hidden: Tensor, cell: Tensor, alive: Tensor, left: Tensor, time: int) -> tuple[Tensor, ...]:
        """The next state: cars that left are forgotten, and every tenth step lets no gradient pass."""
        if (time + 1) % self.gap == 0:
            hidden, cell = hidden.detach(), cell.detach()
        stays = (alive & ~left).float()
        hears = self.not_self * stays[:, None, :] * (~left).float()[:, :, None]
        return hidden * stays[..., None], cell * stays[..., None], hears

    def sample(self) -> dict[str, Tensor]:
        with torch.no_grad():
            shown = self.env.reset()
        state, steps = self.start(len(shown.rewards)), []
        for time in range(self.env.horizon):
            seen, alive = shown.observations["car"], shown.observing
            hidden, cell = self.step(seen, state)
            choice = Categorical(logits=self.head(hidden), validate_args=False)
            action = choice.sample()
            with torch.no_grad():
                shown = self.env.step({"car": action})
            left = shown.terminated
            steps.append((choice.log_prob(action), self.value(hidden).squeeze(-1), alive, shown.rewards, left))
            state = self.goes_on(hidden, cell, alive, left, time)
        return {name: torch.stack(parts) for name, parts in zip(NAMES, zip(*steps, strict=True), strict=True)}

    def loss(self, batch: dict[str, Tensor]) -> Tensor:
        total, returns = torch.zeros_like(batch["reward"][0]), []
        for reward, left in zip(batch["reward"].flip(0), batch["left"].flip(0), strict=True):
            total = reward + torch.where(left, 0.0, total)
            returns.append(total)
        target = torch.stack(returns[::-1])
        advantage = target - batch["value"].detach()
        env_steps = batch["alive"].shape[0] * batch["alive"].shape[1]
        policy = torch.where(batch["alive"], -batch["log_prob"] * advantage, 0.0).sum() / env_steps
        value = torch.where(batch["alive"], 0.5 * (batch["value"] - target).square(), 0.0).sum() / env_steps
        return policy + self.vf_coeff * value

    def update(self, batch: dict[str, Tensor]) -> float:
        loss = self.loss(batch)
        self.optimiser.zero_grad()
        loss.backward()
        self.optimiser.step()
        return float(loss.detach())

    def loss_of(self, rollout: Any) -> Tensor:
        state, steps = self.start(rollout.num_envs), []
        for time in range(rollout.num_steps):
            alive, left = rollout.observing[time], rollout.terminated[time]
            hidden, cell = self.step(rollout.observations["car"][time], state)
            choice = Categorical(logits=self.head(hidden), validate_args=False)
            done = choice.log_prob(rollout.actions["car"][time])
            steps.append((done, self.value(hidden).squeeze(-1), alive, rollout.rewards[time], left))
            state = self.goes_on(hidden, cell, alive, left, time)
        return self.loss(
            {name: torch.stack(found) for name, found in zip(NAMES, zip(*steps, strict=True), strict=True)}
        )


NAMES = ("log_prob", "value", "alive", "reward", "left")


class Riddle(Loop):
    """DIAL on the switch riddle: two GRU layers of 128 units, one noisy bit a day, Q-learning of whole episodes."""

    def __init__(self, env: Any, *, units: int = 128, epsilon: float = 0.05, sigma: float = 2.0, every: int = 100):
        super().__init__(env)
        self.epsilon, self.sigma, self.every, self.updates = epsilon, sigma, every, 0
        self.net = CNet(env.num_agents, units)
        self.target = copy.deepcopy(self.net).requires_grad_(False)
        weights = self.net.parameters()
        self.optimiser = torch.optim.RMSprop(weights, lr=5e-4, alpha=0.99, momentum=0.05, foreach=True)

    def weights(self, state: dict[str, Tensor]) -> None:
        self.fill(self.net, state)
        self.target.load_state_dict(self.net.state_dict())

    def fill(self, net: "CNet", state: dict[str, Tensor]) -> None:
        """Fill a network, the target's too, with a learner's weights."""
        model = "prisoner.policy.model"
        own = [*net.cells, net.out, net.head, net.speak]
        names = [f"{model}.cells.0", f"{model}.cells.1", f"{model}.out", f"{model}.head"]
        copied(own, state, [*names, "prisoner.policy.message_encoder"])
        torso = f"{model}.torso"
        seen = [state[f"{torso}.observation.flat.weight"], state[f"{torso}.last_action.weight"]]
        with torch.no_grad():
            net.seen.weight.copy_(torch.cat(seen, 1))
            net.seen.bias.copy_(state[f"{torso}.observation.flat.bias"])
            net.agent.copy_(state[f"{torso}.agent.weight"].T)
            net.scale.copy_(state["prisoner.policy.message_decoder.0.weight"])
            net.shift.copy_(state["prisoner.policy.message_decoder.0.bias"])
        copied([net.hear], state, ["prisoner.policy.message_decoder.1"])

    def start(self, copies: int) -> tuple[Tensor, ...]:
        number = len(self.net.agent)
        zeros = torch.zeros(copies, number, 128)
        return zeros, zeros, torch.zeros(copies, 1), torch.zeros(copies, number, dtype=torch.bool)

    def day(self, net: "CNet", seen: Tensor, state: tuple[Tensor, ...], here: Tensor, noise: Tensor) -> Any:
        """Return the values of today, the memory, and the bit `[B, 1]` that whoever is in the room leaves."""
        values, memory, told = net(seen, *state)
        bit = torch.sigmoid(told + self.sigma * noise)
        return values, memory, (bit * here[..., None]).sum(1)

    def next_state(self, memory: Any, bit: Tensor, hears: Tensor, over: Tensor) -> tuple[Tensor, ...]:
        goes_on = (~over).float()[:, None, None]
        return memory[0] * goes_on, memory[1] * goes_on, bit, hears & ~over[:, None]

    def sample(self) -> list[dict[str, Tensor]]:
        with torch.no_grad():
            shown = self.env.reset()
        copies, number = shown.rewards.shape
        state, targets, done = self.start(copies), self.start(copies), torch.zeros(copies, number, 2)
        alive, days = torch.ones(copies, dtype=torch.bool), []
        for _ in range(self.env.horizon):
            here, hears = shown.acting, shown.hearing.mask[..., 0] & alive[:, None]
            seen = torch.cat([shown.observations["prisoner"], done], -1)
            noise = torch.randn(copies, number, 1)
            values, memory, bit = self.day(self.net, seen, state, here, noise)
            with torch.no_grad():
                best, kept, target_bit = self.day(self.target, seen, targets, here, noise)
                explored = torch.rand(copies, number) < self.epsilon
                action = torch.where(explored, torch.randint(2, (copies, number)), values.argmax(-1))
                shown = self.env.step({"prisoner": action})
            over = shown.episode_over
            chosen = values.gather(-1, action[..., None]).squeeze(-1)
            days.append({
                "chosen": chosen, "best": best.amax(-1), "here": here, "alive": alive, "reward": shown.rewards,
                "over": over,
            })  # fmt: skip
            done = nn.functional.one_hot(action, 2) * (here & ~over[:, None])[..., None]
            state = self.next_state(memory, bit, hears, over)
            targets = self.next_state(kept, target_bit, hears, over)
            alive = alive & ~over
            if not alive.any():
                break
        return days

    def loss(self, days: list[dict[str, Tensor]]) -> Tensor:
        follows, earned, loss = torch.zeros(days[0]["reward"].shape), torch.zeros(days[0]["reward"].shape), 0.0
        for day in reversed(days):
            over = day["over"][:, None]
            follows, earned = torch.where(over, 0.0, follows), day["reward"] + torch.where(over, 0.0, earned)
            counts = day["here"] & day["alive"][:, None]
            loss = loss + torch.where(counts, (day["chosen"] - earned - follows).square(), 0.0).sum()
            follows = torch.where(day["here"], day["best"], follows)
            earned = torch.where(day["here"], 0.0, earned)
        return loss / follows.numel()

    def update(self, batch: list[dict[str, Tensor]]) -> float:
        loss = self.loss(batch)
        self.optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_value_(self.net.parameters(), 10.0)
        self.optimiser.step()
        self.updates += 1
        if self.updates % self.every == 0:
            self.target.load_state_dict(self.net.state_dict())
        return float(loss.detach())

    def loss_of(self, rollout: Any) -> Tensor:
        state, targets, days = self.start(rollout.num_envs), self.start(rollout.num_envs), []
        for time in range(rollout.num_steps):
            here, alive = rollout.acting[time], rollout.valid[time]
            seen = torch.cat([rollout.observations["prisoner"][time], rollout.last_action["prisoner"][time]], -1)
            noise, action = rollout.draws[0][time], rollout.actions["prisoner"][time]
            values, memory, bit = self.day(self.net, seen, state, here, noise)
            best, kept, target_bit = self.day(self.target, seen, targets, here, noise)
            over, hears = rollout.terminated[time].all(1), rollout.edges.mask[time, ..., 0] & alive[:, None]
            chosen = values.gather(-1, action[..., None]).squeeze(-1)
            days.append({
                "chosen": chosen, "best": best.amax(-1).detach(), "here": here, "alive": alive,
                "reward": rollout.rewards[time], "over": over,
            })  # fmt: skip
            state = self.next_state(memory, bit, hears, over)
            targets = self.next_state(kept, target_bit, hears, over)
        return self.loss(days)


class CNet(nn.Module):
    """The network of DIAL: what is seen, who it is and what was heard are added before two GRU layers."""

    def __init__(self, agents: int, units: int):
        super().__init__()
        self.seen, self.agent = nn.Linear(3, units), nn.Parameter(torch.zeros(agents, units))
        self.scale, self.shift = nn.Parameter(torch.ones(1)), nn.Parameter(torch.zeros(1))
        self.hear = nn.Linear(1, units)
        self.cells = nn.ModuleList(nn.GRUCell(units, units) for _ in range(2))
        self.out, self.head, self.speak = nn.Linear(units, units), nn.Linear(units, 2), nn.Linear(units, 1)

    def forward(self, seen: Tensor, first: Tensor, second: Tensor, bit: Tensor, hears: Tensor) -> Any:
        """Return values, memory and what is told, from the light `[B, 1]` that those who hear it normalise together."""
        weight = hears.float()[..., None]
        share = weight / weight.sum().clamp(min=1)
        light = bit[:, None].expand(-1, hears.shape[1], -1)
        mean = (light * share).sum((0, 1))
        variance = ((light - mean).square() * share).sum((0, 1))
        light = (light - mean) * (self.scale * torch.rsqrt(variance + 1e-5)) + self.shift
        x = self.seen(seen) + self.agent + weight * torch.relu(self.hear(light))
        shape = x.shape
        first = self.cells[0](x.flatten(0, 1), first.flatten(0, 1))
        second = self.cells[1](first, second.flatten(0, 1))
        hidden = torch.relu(self.out(second)).view(shape)
        return self.head(hidden), (first.view(shape), second.view(shape)), self.speak(hidden)
