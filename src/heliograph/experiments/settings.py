"""What a training run is made of, in names and numbers that fit in JSON (imports no ray)."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from heliograph import registry
from heliograph.envs.own_words import WordsHeard
from heliograph.experiments.channel_layers import wrapped_in
from heliograph.experiments.choices import Choices, EnvChoice, Named, NamedSettings, PolicyChoice, TeamChoices, opened
from heliograph.experiments.compatibility import rehearse
from heliograph.experiments.controls import CONTROLS
from heliograph.experiments.curriculum import schedules_of, task_settings
from heliograph.experiments.stopping import Goal, goals_of
from heliograph.experiments.team_settings import FIELDS, TeamSettings, first_error
from heliograph.experiments.tracking import check_trackers
from heliograph.importing import absolute_names
from heliograph.names import safe_names
from heliograph.rollouts.statistics import OF_AGENT, OF_INFO, OF_ROLE, OF_TEAM
from heliograph.types import Role

COUNTED = ("iteration", "num_env_steps", "seconds", "env_steps_per_second")
SAMPLED = (
    "episode_return_mean",
    "episode_return_min",
    "episode_return_max",
    "success_rate",
    "episode_len_mean",
    "num_episodes",
    "entropy_bits",
    "mutual_information_bits",
    "mutual_information_chance_bits",
)
LEARNT = (
    "total_loss",
    "policy_loss",
    "td_loss",
    "message_td_loss",
    "mean_q",
    "vf_loss",
    "entropy",
    "message_entropy",
    "gradient_norm",
    "mean_kl",
    "clip_fraction",
    "first_ratio_error",
)
COLUMNS = (*COUNTED, *SAMPLED, *LEARNT)
"""Columns of progress.csv; those of several teams, of auxiliary losses and of `EVALUATED` follow.

docs/command_line.md explains them.
"""
EVALUATED = ("evaluation_return_mean", "evaluation_normalised_return")
"""Further columns where `evaluate_every` is set."""
OF_CALLBACKS = "callback_"
MORE_COLUMNS = ("loss_", "curriculum_", "lr/", "coefficient_", OF_CALLBACKS, OF_TEAM, OF_ROLE, OF_AGENT, OF_INFO)
"""How further columns begin, of which a run has those that it can measure."""
DEFAULT_ITERATIONS = 100
OF_MESSAGES = ("message_entropy_coeff", "message_bootstrap")
"""Settings of algorithms that speak of messages alone."""


class PolicySettings(Choices):
    """A policy of a run: the agents that it plays, and a model or learning rate of its own (None: those of all)."""

    agents: tuple[str, ...]
    model: Named = None
    model_settings: NamedSettings = Field(default_factory=dict)
    lr: Any = None

    def config(self) -> dict[str, Any]:
        """Return what differs from the others, as RLlib's PolicySpec takes it."""
        given = {"model": self.model, "model_settings": self.model_settings or None, "lr": self.lr}
        return {key: value for key, value in given.items() if value is not None}


class TrainSettings(TeamSettings):
    """A training run: a team with its environment and algorithm, a budget, a seed, and how to spread the work.

    `networks`: agents of a role share one ("shared"), or each has its own ("separate"). `policies`: who plays whom
    where it is neither, {"scouts": {"agents": ["a", "b"], "model": "commnet", "lr": 1e-4}}; agents in none of them are
    played by one policy for each role. `freeze`: policies that are not trained.

    `population`: several policies for each role, and by which rule they meet; they are called `speaker_0`, ...

    `callbacks`: classes of RLlib's callbacks, or their import paths, such as "my_package.watching:Watch".

    `curriculum`: schedules of env settings, {"p_arrive": [[0, 0.1], [1_000_000, 0.3]]} by env steps, or as
    `heliograph.experiments.curriculum` has it. What they end at is the task, which is evaluated.

    `algorithm_settings`: names of the algorithm's `.training()` and of `.env_runners()`, such as `lr` or
    `num_envs_per_env_runner`. `losses`: names, or [name, coefficient, settings]. `load_policies`:
    policies that begin with the weights of another run, {"speaker": run folder or team file}. `learn_from`: the folder
    of a corpus that policies (`learn_policies`, or all) learn from for `learn_updates` before they play. The budget is
    `iterations`, or `env_steps`, or what comes first of these, `until` and `patience`. `until`: columns of progress.csv
    and the least that they must reach, or {"at_most": 12.5}. `patience`: iterations in a row without a better value of
    the first of these, or of the mean return. With
    `evaluate_every` the team is also evaluated every so many iterations as it is in the end, exactly where the
    environment can enumerate its starts, else on `evaluation_episodes` fresh episodes: see `EVALUATED`.
    With `record_every` what the team says is recorded every so many iterations, and before the first, for a timelapse.
    `torch_num_threads`: threads of each process, by default as many as its networks are worth.
    """

    model_config = ConfigDict(validate_default=True)

    env: Named = "speaker_listener"
    env_settings: NamedSettings = Field(default_factory=dict)
    curriculum: dict[str, Any] = Field(default_factory=dict)
    algorithm: Named = "ppo"
    algorithm_settings: NamedSettings = Field(default_factory=dict)
    load_policies: dict[str, str] = Field(default_factory=dict, description=FIELDS["load_policies"].description)
    learn_from: str | None = Field(default=None, description=FIELDS["learn_from"].description)
    networks: Literal["shared", "separate"] = "shared"
    policies: dict[str, PolicySettings] = Field(default_factory=dict)
    freeze: tuple[str, ...] = ()
    callbacks: Annotated[tuple[Any, ...], BeforeValidator(absolute_names)] = ()
    iterations: PositiveInt | None = None
    env_steps: PositiveInt | None = None
    until: dict[str, Any] = Field(default_factory=dict)
    patience: PositiveInt | None = None
    seed: int = Field(default=0, ge=0, lt=2**31)
    num_env_runners: int = Field(default=0, ge=0)
    num_learners: int = Field(default=0, ge=0)
    num_gpus_per_learner: float | None = Field(default=None, ge=0)
    checkpoint_every: PositiveInt = 10
    evaluation_episodes: PositiveInt = 1000
    evaluate_every: PositiveInt | None = None
    wandb: str | None = Field(default=None, min_length=1)
    mlflow: str | None = Field(default=None, min_length=1)
    record_every: PositiveInt | None = None

    @model_validator(mode="after")
    def _one_way_of_playing(self) -> "TrainSettings":
        if self.population is not None and (self.policies or self.networks == "separate"):
            raise ValueError(
                f"population={self.population!r}: its members are the policies; leave out policies and "
                "networks='separate'"
            )
        if self.policies and self.networks == "separate":
            raise ValueError("networks='separate' gives every agent a policy of its own: leave out policies, or this")
        return self

    @model_validator(mode="after")
    def _one_budget(self) -> "TrainSettings":
        if self.iterations is not None and self.env_steps is not None:
            raise ValueError("iterations and env_steps are both given: a budget is one of them")
        task_settings(self.env_settings, schedules_of(self.curriculum, metrics=SAMPLED))
        for key in self.until:
            if key not in (*COLUMNS, *EVALUATED) and not key.startswith(MORE_COLUMNS):
                raise registry.UnknownNameError(what="metric in until", name=key, valid=[*COLUMNS, *EVALUATED])
            if key in EVALUATED and self.evaluate_every is None:
                raise ValueError(f"until {key}: nothing is evaluated; set evaluate_every (--evaluate-every) too")
        goals_of(self.until)
        if self.record_every is not None and self.channel == "none":
            raise ValueError(f"record_every={self.record_every}: channel='none' lets nobody speak; leave it out")
        return self

    def goals(self) -> list[Goal]:
        """Return what columns must reach for the run to end."""
        return goals_of(self.until)

    @property
    def open_ended(self) -> bool:
        """True if it ends when it is good enough, so that its controls are trained after it, as long as it took."""
        return bool(self.until) or self.patience is not None

    @property
    def num_actors(self) -> int:
        """Processes that Ray starts for it."""
        return self.num_env_runners + self.num_learners

    @property
    def max_iterations(self) -> int | None:
        """The budget in iterations; None where it is counted otherwise."""
        if self.iterations is None and self.env_steps is None and not self.open_ended:
            return DEFAULT_ITERATIONS
        return self.iterations

    def env_choice(self) -> EnvChoice:
        """The environment, with what its curriculum ends at."""
        schedules = schedules_of(self.curriculum, metrics=SAMPLED)
        return EnvChoice(env=self.env, settings=task_settings(self.env_settings, schedules))

    def choices(self) -> TeamChoices:
        """Model, channel and topology."""
        return TeamChoices(
            **self.chosen(), policies=self._policies(), normalise_observations=self.normalise_observations
        )

    def _policies(self) -> dict[str, PolicyChoice] | None:
        if self.networks == "shared" and not self.policies:
            return None
        with opened(self.env_choice()) as env:
            if self.policies:
                return _seated(self.policies, env.roles)
            return {name: PolicyChoice(agents=(agent,)) for agent, name in safe_names(env.agents).items()}


def _seated(policies: Mapping[str, PolicySettings], roles: Sequence[Role]) -> dict[str, PolicyChoice]:
    """Policies with their agents; agents that nobody plays share one for each role, named after it."""
    agents = [agent for role in roles for agent in role.agents]
    players: dict[str, str] = {}
    for name, policy in policies.items():
        for agent in policy.agents:
            if agent not in agents:
                raise registry.UnknownNameError(what=f"agent of policy {name!r}", name=agent, valid=agents)
            if agent in players:
                raise ValueError(f"policies: {agent!r} is played by {players[agent]!r} and by {name!r}: choose one")
            players[agent] = name
    rest = {role.name: tuple(a for a in role.agents if a not in players) for role in roles}
    for name in rest.keys() & policies.keys():
        if rest[name]:
            told = ", ".join(rest[name])
            raise ValueError(f"policies: {name!r} is the role of {told} too, whom no policy plays; call it otherwise")
    own = {
        n: PolicyChoice(agents=p.agents, model=p.model, model_settings=p.model_settings) for n, p in policies.items()
    }
    return {**own, **{name: PolicyChoice(agents=some) for name, some in rest.items() if some}}


def settings_from(given: Mapping[str, Any]) -> TrainSettings:
    """Checked settings; what is wrong is said in one line."""
    for name in given:
        if name not in TrainSettings.model_fields:
            raise registry.UnknownNameError(what="training setting", name=name, valid=list(TrainSettings.model_fields))
    try:
        return TrainSettings(**given)
    except ValidationError as error:
        raise ValueError(first_error(error)) from None


def control_of(settings: TrainSettings, kind: str, *, env_steps: int | None = None) -> TrainSettings:
    """The silent, the garbled or the self-only control of a run; `env_steps` is what it took where it ended early.

    The silent one is without the settings that mean nothing where nothing is said; the self-only one differs from its
    run in the topology alone. Where agents speak by their actions,
    in words of the task's own and without a channel, hearers get nothing, or noise, by the environment's `heard`.
    """
    if kind not in CONTROLS:
        raise registry.UnknownNameError(what="control", name=kind, valid=list(CONTROLS))
    changes: dict[str, Any] = {"topology": "self_only", "topology_settings": {}}
    if kind == "garbled":
        changes = {"channel": wrapped_in("garbled", settings.channel)}
    if kind == "silent":
        kept = {key: value for key, value in settings.algorithm_settings.items() if key not in OF_MESSAGES}
        changes = {"channel": "none", "channel_settings": {}, "load_policies": {}, "algorithm_settings": kept}
        changes |= {"learn_from": None, "learn_updates": 200, "learn_policies": ()}
        changes |= {"freeze": ()} if settings.load_policies else {}
        changes |= {"topology": "full", "topology_settings": {}, "freeze_team": False}
    changes["record_every"] = None  # nobody can hear what they say
    if settings.channel == "none" and has_own_words(settings):
        heard = {"silent": WordsHeard.NOTHING, "garbled": WordsHeard.NOISE}.get(kind)
        if heard is None:
            raise ValueError(f"controls {kind}: nobody hears words of the task's own from itself; take silent, garbled")
        changes = {"record_every": None, "env_settings": {**settings.env_settings, "heard": heard.value}}
    if settings.open_ended or env_steps is not None:
        changes |= {"until": {}, "patience": None, "iterations": None, "env_steps": env_steps}
    return settings.model_copy(update=changes)


def has_own_words(settings: TrainSettings) -> bool:
    """Tell whether agents speak by their actions, in words of the task's own."""
    with opened(settings.env_choice(), num_envs=1) as env:
        return env.own_words is not None


def check_training(settings: TrainSettings) -> None:
    """Build everything once, small, play two steps, call each loss: what is wrong shows before Ray starts."""
    check_trackers(settings)
    if isinstance(settings.algorithm, str) and ":" not in settings.algorithm:
        if settings.algorithm not in (valid := registry.names("algorithm")):
            raise registry.UnknownNameError(what="algorithm", name=settings.algorithm, valid=valid)
    losses = [_loss(loss) for loss in settings.losses]
    rehearse(settings.env_choice(), settings.choices(), losses)


def _loss(given: Any) -> tuple[Any, dict[str, Any]]:
    parts = list(given) if isinstance(given, (list, tuple)) else [given]
    name = parts[0] if parts else None
    if isinstance(name, str) and ":" not in name and name not in (valid := registry.names("loss")):
        raise registry.UnknownNameError(what="loss", name=name, valid=valid)
    return name, dict(parts[2]) if len(parts) > 2 else {}
