"""The env runner: steps all copies of a team at once and returns aligned rollouts."""

import warnings
from collections.abc import Mapping
from typing import Any

import ray
import torch
from ray.rllib.callbacks.utils import make_callback
from ray.rllib.core import COMPONENT_RL_MODULE
from ray.rllib.env import INPUT_ENV_SINGLE_SPACES, INPUT_ENV_SPACES
from ray.rllib.env.env_context import EnvContext
from ray.rllib.env.env_runner import EnvRunner
from ray.rllib.utils.checkpoints import Checkpointable
from ray.rllib.utils.metrics import (
    EPISODE_AGENT_RETURN_MEAN,
    EPISODE_LEN_MEAN,
    EPISODE_RETURN_MAX,
    EPISODE_RETURN_MEAN,
    EPISODE_RETURN_MIN,
    NUM_AGENT_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_EPISODES,
    NUM_EPISODES_LIFETIME,
    WEIGHTS_SEQ_NO,
)

from heliograph.analysis.diagnosis import Diagnosis
from heliograph.analysis.information import protocol_statistics
from heliograph.analysis.rivalry import Watch
from heliograph.envs.checking import close
from heliograph.experiments.choices import build_env, meetings_of, resolve
from heliograph.isolation import isolated
from heliograph.rllib.callbacks import TeamCallbacks
from heliograph.rllib.devices import prepare_torch, runner_device
from heliograph.rllib.environments import Place, at_work
from heliograph.rllib.module import TeamModule
from heliograph.rllib.runs.rng_state import STREAMS, get_streams, mixed_seed, set_streams
from heliograph.rllib.sampling_failures import SAMPLING_ERRORS, SamplingError, sampling_failure
from heliograph.rollouts.rollout import Rollout
from heliograph.rollouts.sampler import Sampler, play_episodes
from heliograph.rollouts.statistics import OF_INFO, Episodes
from heliograph.types import Choice, MessageForm

TEAM_RETURN_MEAN, ROLE_RETURN_MEAN = "team_return_mean", "role_return_mean"
"""Beside the mean over all agents that of each team, by its name, where there is more than one."""

SAMPLER = "sampler"
"""Component of the runner's state: environment, memories, messages in flight and random streams."""

ENV_SETTINGS = "env_settings"
"""Key beside it: what a curriculum has set in the environment."""


class TeamEnvRunner(EnvRunner, Checkpointable):
    """Samples rollouts of whole teams; works without Ray being started.

    Exploration (`explore=True`) samples actions and sends messages in training form; inference takes the most likely
    actions. Evaluation sends messages in execution form. Episode objects and connectors do not exist here.
    """

    module: TeamModule
    num_env_steps_sampled_lifetime: int
    """Of all runners before this iteration (RLlib tells them), and of this one in it."""

    def __init__(self, *, config: Any, **kwargs: Any):
        super().__init__(config=config, **kwargs)
        self.worker_index = int(kwargs.get("worker_index") or 0)
        self.sampler: Sampler | None = None
        self.failure: SamplingError | None = None
        self._rivalry: Watch | None = None
        self.env_settings: dict[str, Any] = {}
        self._weights_seq_no = 0
        self._holds_env = False
        self.callbacks = [cls() for cls in _as_list(self.config.callbacks_class)]
        self.device = runner_device(self.config, worker_index=self.worker_index)
        prepare_torch(num_threads=self.config.torch_num_threads)
        self.make_module()
        if self.worker_index > 0 or self.num_workers == 0 or self.config.create_env_on_local_worker:
            self.make_env()

    # ---- construction -----------------------------------------------------------------------------------------

    def make_env(self) -> None:
        """Build the copies of the environment, and the sampler over them."""
        seed = self._seed if self._seed is not None else int(torch.randint(2**31, ()))
        self._build_env(seed=seed)
        mapping = self.config.policy_mapping()
        assign: Any = None if mapping is None else mapping.assigner(seed=seed)
        if mapping is None:
            assign = meetings_of(self.config.choices(), self.config.facts(), seed=seed)
        self.sampler = Sampler(self.env, self.module.team, seed=seed + 1, assign=assign)
        learns_from_it = any(getattr(resolve("loss", x.loss), "needs_oracle", False) for x in self.config.losses)
        if len(self.env.teams) == 1 and self.worker_index <= 1 and not self.config.in_evaluation:
            self._rivalry = Watch(self.env.roles)
        self.sampler.asks_oracle = learns_from_it and not self.config.in_evaluation

    def _build_env(self, *, seed: int) -> None:
        copies, device = self.config.num_envs_per_env_runner, str(self.device)
        place = Place(worker_index=self.worker_index, num_workers=self.num_workers or 0)
        choice = at_work(self.config.env_choice(self.env_settings), place)
        self.env = build_env(choice, num_envs=copies, seed=seed, device=device)
        self._holds_env = True
        self._call_back("on_environment_created", env=self.env, env_context=self._env_context())

    def change_env(self, settings: Mapping[str, Any]) -> None:
        """Let the environment have some other settings from now on, those of a curriculum.

        Where it calls them adjustable, episodes in flight go on; else it is built anew, and they are dropped.
        """
        known = self.env_settings
        changed = {name: value for name, value in settings.items() if name not in known or known[name] != value}
        self.env_settings = dict(settings)
        if not changed or self.sampler is None:
            return
        if set(changed) <= set(self.env.adjustable):
            self.env.change(changed)
            return
        stream, views = self.env.start_generator, self.env.final_views
        self.stop()
        self._build_env(seed=int(torch.randint(2**31, (), generator=stream, device=stream.device)))
        self.env.final_views, self.sampler.env = views, self.env
        self.sampler.reset()

    def make_module(self) -> None:
        """Build the team for inference."""
        self.module = self.config.get_multi_rl_module_spec(inference_only=True).build()
        for name in self.module.keys():
            self.module[name].to(self.device).eval()
        self.module.move_to(self.device)
        if not self.config.in_evaluation:
            self.config.prepare_team(self.module.team)

    def get_spaces(self) -> dict[str, Any]:
        """Spaces by module."""
        spaces = {name: (m.observation_space, m.action_space) for name, m in self.module.items()}
        first = next(iter(spaces.values()))
        return {INPUT_ENV_SPACES: first, INPUT_ENV_SINGLE_SPACES: first, **spaces}

    # ---- sampling ---------------------------------------------------------------------------------------------

    def sample(
        self,
        *,
        num_timesteps: int | None = None,
        num_episodes: int | None = None,
        explore: bool | None = None,
        random_actions: bool = False,
        force_reset: bool = False,
        **kwargs: Any,
    ) -> list[Rollout]:
        """Sample a fragment (or whole episodes, by `batch_mode`), or as many env steps or episodes as asked for."""
        if random_actions:
            raise ValueError("random_actions is not supported: heliograph's algorithms sample from their policies")
        explore = self.config.explore if explore is None else explore
        choice = Choice.SAMPLED if explore else Choice.GREEDY
        form = MessageForm.EXECUTION if self.config.in_evaluation else MessageForm.TRAINING
        sampler = self._ready()
        sampler.epsilon = self.config.exploration_epsilon(self.num_env_steps_sampled_lifetime)
        if force_reset:
            sampler.reset()
        try:
            rollouts, episodes = self._sample(sampler, num_timesteps, num_episodes, choice, form)
            self._log(rollouts, episodes)
            if len(episodes):
                self._report(episodes)
            self._call_back("on_sample_end", samples=rollouts)
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # sys.exit() too, which would end the process without a word
            self.failure = sampling_failure(error, worker_index=self.worker_index, env=self.env)
            raise self.failure from None
        return rollouts

    def _ready(self) -> Sampler:
        if self.sampler is None:
            raise RuntimeError("this env runner has no environment: set create_env_on_local_env_runner=True")
        return self.sampler

    def _sample(
        self, sampler: Sampler, num_timesteps: int | None, num_episodes: int | None, choice: Choice, form: MessageForm
    ) -> tuple[list[Rollout], Episodes]:
        if num_episodes is not None:
            played = play_episodes(sampler, num_episodes, choice=choice, form=form)
            return played[1], played[0]
        rollouts: list[Rollout] = []
        wanted = 1 if num_timesteps is None else num_timesteps
        while sum(len(r) for r in rollouts) < wanted:
            rollouts.append(self._one(sampler, choice, form))
        return rollouts, sampler.take_finished()

    def _one(self, sampler: Sampler, choice: Choice, form: MessageForm) -> Rollout:
        if self.config.batch_mode == "complete_episodes":
            return sampler.episodes(choice=choice, form=form)
        return sampler.fragment(self.config.fragment_length(), choice=choice, form=form)

    # ---- metrics ----------------------------------------------------------------------------------------------

    def get_metrics(self) -> Any:
        """Metrics since the last call."""
        return self.metrics.reduce()

    def _log(self, rollouts: list[Rollout], episodes: Episodes) -> None:
        num_env_steps, log = sum(r.env_steps() for r in rollouts), self.metrics.log_value
        self.num_env_steps_sampled_lifetime += num_env_steps
        log(NUM_ENV_STEPS_SAMPLED, num_env_steps, reduce="sum")
        log(NUM_ENV_STEPS_SAMPLED_LIFETIME, num_env_steps, reduce="lifetime_sum", with_throughput=True)
        turns = sum((r.observing[:-1] & r.valid.unsqueeze(-1)).sum((0, 1)) for r in rollouts)
        for slot, agent in enumerate(self.env.agents):
            log((NUM_AGENT_STEPS_SAMPLED, agent), int(turns[slot]), reduce="sum")
        log(NUM_EPISODES, len(episodes), reduce="sum")
        log(NUM_EPISODES_LIFETIME, len(episodes), reduce="lifetime_sum")
        if len(episodes):
            self._log_episodes(episodes)
        self._log_protocol(rollouts[-1])

    def _log_protocol(self, rollout: Rollout) -> None:
        """Statistics of the messages, and two warnings: 1 where they are collapsed, or babble, else 0."""
        found, diagnosis = protocol_statistics(self.module.team, rollout)
        for key, value in found.items():
            self.metrics.log_value(key, value, window=1)
        if diagnosis is Diagnosis.SILENT:
            return
        for warning in (Diagnosis.COLLAPSED, Diagnosis.BABBLING):
            self.metrics.log_value(f"protocol_{warning.value}", float(diagnosis is warning), window=1)

    def _log_episodes(self, episodes: Episodes) -> None:
        returns, log = episodes.returns, self.metrics.log_value
        if self._rivalry is not None and (found := self._rivalry.look(episodes)) is not None:
            warnings.warn(str(found), stacklevel=2)
        log(EPISODE_RETURN_MEAN, float(returns.mean()), window=1)
        log(EPISODE_RETURN_MIN, float(returns.min()), reduce="min", window=1)
        log(EPISODE_RETURN_MAX, float(returns.max()), reduce="max", window=1)
        log(EPISODE_LEN_MEAN, float(episodes.lengths.float().mean()), window=1)
        for slot, agent in enumerate(self.env.agents):
            if len(own := episodes.of_agent(slot)):
                log((EPISODE_AGENT_RETURN_MEAN, agent), float(own.mean()), window=1)
        for team, found in episodes.team_returns(self.env.teams, self.env.team_of_agent).items():
            if not bool(found.isnan().all()):
                log((TEAM_RETURN_MEAN, team), float(found.nanmean()), window=1)
        for role in self.env.roles if len(self.env.roles) > 1 else ():
            members = torch.tensor([agent in role.agents for agent in self.env.agents])
            found = episodes.of_team(members)
            if not bool(found.isnan().all()):
                log((ROLE_RETURN_MEAN, role.name), float(found.nanmean()), window=1)
        for key, mean in episodes.info_means().items():
            log(f"{OF_INFO}{key}", mean, window=1)
        if not bool(episodes.success.isnan().any()):
            log("success_rate", float(episodes.success.mean()), window=1)

    # ---- state ------------------------------------------------------------------------------------------------

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """Weights, counters, and the sampler with its environment."""
        state: dict[str, Any] = {NUM_ENV_STEPS_SAMPLED_LIFETIME: self.num_env_steps_sampled_lifetime}
        if self._check_component(COMPONENT_RL_MODULE, components, not_components):
            state[COMPONENT_RL_MODULE] = self.module.get_state(**kwargs)
            state[WEIGHTS_SEQ_NO] = self._weights_seq_no
        if self.sampler is not None and self._check_component(SAMPLER, components, not_components):
            state[SAMPLER] = self.sampler.get_state()
            state[ENV_SETTINGS] = self.env_settings
            state[STREAMS] = get_streams()
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over weights of any other sequence number (older ones too: a restored checkpoint), and sampler state."""
        if COMPONENT_RL_MODULE in state:
            number = state.get(WEIGHTS_SEQ_NO, 0)
            if number == 0 or number != self._weights_seq_no:
                weights = state[COMPONENT_RL_MODULE]
                self.module.set_state(ray.get(weights) if isinstance(weights, ray.ObjectRef) else weights)
            self._weights_seq_no = number or self._weights_seq_no
        if SAMPLER in state and self.sampler is not None:
            self.change_env(state.get(ENV_SETTINGS, {}))
            self.sampler.set_state(state[SAMPLER])
            set_streams(state[STREAMS])
        elif self.num_env_steps_sampled_lifetime == 0:
            self._join(state.get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0))
        if NUM_ENV_STEPS_SAMPLED_LIFETIME in state:
            self.num_env_steps_sampled_lifetime = state[NUM_ENV_STEPS_SAMPLED_LIFETIME]

    def _join(self, num_env_steps: int) -> None:
        """Begin in the midst of a run, in the place of one that died, with episodes other than its first."""
        if self.sampler is None or self._seed is None or num_env_steps == 0:
            return
        seed = mixed_seed(self._seed, num_env_steps)
        self.env.seed(seed)
        self.sampler.generator.manual_seed(seed + 1)
        self.sampler.reset()

    def get_ctor_args_and_kwargs(self) -> tuple[tuple, dict[str, Any]]:
        """Return what builds this runner again."""
        return (), {"config": self.config}

    def get_checkpointable_components(self) -> list[tuple[str, Any]]:
        """The team's modules."""
        return [(COMPONENT_RL_MODULE, self.module)]

    def apply(self, func: Any, *args: Any, **kwargs: Any) -> Any:
        """Call a function of this runner; a failure of the user's code is raised, where RLlib ends the process.

        RLlib would start the process anew, it would fail again, and so for ever; and the traceback would be lost.
        """
        try:
            return func(self, *args, **kwargs)
        except SAMPLING_ERRORS:
            raise
        except Exception as error:
            return super().apply(_raising, error)

    def assert_healthy(self) -> None:
        """Raise where construction did not finish."""
        assert hasattr(self, "module") and (self.sampler is not None or self.num_workers > 0)

    def stop(self) -> None:
        """Close the environment, once; raises `EnvError` where it cannot be closed."""
        if self._holds_env:
            self._holds_env = False
            close(self.env)

    # ---- callbacks --------------------------------------------------------------------------------------------

    def _call_back(self, name: str, **kwargs: Any) -> None:
        with isolated(f"the callback {name}"):
            make_callback(
                name,
                callbacks_objects=self.callbacks,
                callbacks_functions=getattr(self.config, f"callbacks_{name}"),
                kwargs={"env_runner": self, "metrics_logger": self.metrics, **kwargs},
            )

    def _report(self, episodes: Episodes) -> None:
        with isolated("the callback on_episodes_end"):
            for callback in self.callbacks:
                if isinstance(callback, TeamCallbacks):
                    callback.on_episodes_end(episodes=episodes, env_runner=self, metrics_logger=self.metrics)

    def _env_context(self) -> EnvContext:
        return EnvContext(self.config.env_config, worker_index=self.worker_index, num_workers=self.num_workers)


def _raising(runner: TeamEnvRunner, error: Exception) -> None:
    raise error


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [value]
