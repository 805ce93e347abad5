"""PPO for communicating teams."""

from typing import Any

from ray.rllib.algorithms.algorithm_config import NotProvided
from ray.tune.registry import register_trainable

from heliograph.checks import check_kind
from heliograph.rllib.algorithm import CommunicationAlgorithm
from heliograph.rllib.clipped import ClippedConfig, ClippedLearner
from heliograph.rllib.compiling import check_compiler

__all__ = ["CommPPO", "CommPPOConfig", "PPOLearner"]


class CommPPOConfig(ClippedConfig):
    """Configuration of PPO on whole teams: RLlib's names, and `.communication()`.

    Each agent has a ratio of its own, over its action and (on ACTION channels) its message; gradients of pathwise
    channels flow from listeners to speakers.
    Source: Schulman et al. 2017; advantages over turns of each agent (`functional.gae_over_turns`).
    """

    def __init__(self, algo_class: type | None = None):
        super().__init__(algo_class=algo_class or CommPPO)
        self.lr = 1e-3
        self.entropy_coeff = 0.05
        self.message_entropy_coeff = 0.02
        self.target_kl = 0.2
        self.grad_clip = 0.5
        self.num_epochs = 4
        self.minibatch_size = 2048
        self.train_batch_size_per_learner = 4096
        self.compile = False

    def training(
        self,
        *,
        lambda_: float = NotProvided,
        clip_param: float | None = NotProvided,
        entropy_coeff: Any = NotProvided,
        message_entropy_coeff: Any = NotProvided,
        target_kl: float | None = NotProvided,
        vf_loss_coeff: float = NotProvided,
        normalise_advantages: bool = NotProvided,
        mean_ratio: float = NotProvided,
        detach_gap: int | None = NotProvided,
        compile: bool = NotProvided,
        **kwargs: Any,
    ) -> "CommPPOConfig":
        """Set training settings; counts are in env steps (moves of the whole team).

        `lambda_` of GAE; `clip_param` of the ratio (None: no clipping, A2C's loss); `entropy_coeff` and
        `message_entropy_coeff` of actions and sampled messages, fixed or a schedule; `target_kl`: an update ends early
        once the policies have moved so far (nats, None: never); `vf_loss_coeff` of the values. `mean_ratio`: how much
        of the return that an agent is to raise is its team's mean (1) and not its own (0). `detach_gap`: no gradient
        crosses the ends of stretches of so many steps of a rollout (None: it reaches back to the first). `compile`: the
        loss of a minibatch and its gradients are compiled by torch in the first update, which takes a minute or more
        and needs a C++ compiler; results are the same to rounding.
        """
        super().training(**kwargs)
        self.take({k: v for k, v in locals().items() if k not in ("self", "kwargs", "__class__")})
        return self

    def get_default_learner_class(self) -> type:
        """The learner of this algorithm."""
        return PPOLearner

    def validate(self) -> None:
        """Check sizes and coefficients."""
        self.check_numbers()
        if self.compile:
            self._check_compilable()
        super().validate()

    def _check_compilable(self) -> None:
        """Refuse what no graph is made of, and machines without a compiler."""
        check_kind("compile", self.compile, bool, what="the algorithm")
        instead = "use compile=False, or"
        if self.num_learners > 1:
            why = "learners ask each other for numbers in the midst of a loss, which no graph holds"
            raise ValueError(f"compile=True, num_learners={self.num_learners}: {why}; {instead} num_learners=1")
        if self.num_gpus_per_learner:
            why = "losses are compiled for the CPU, by a C++ compiler"
            raise ValueError(f"compile=True, num_gpus_per_learner={self.num_gpus_per_learner}: {why}; {instead} no GPU")
        check_compiler()


class CommPPO(CommunicationAlgorithm):
    """PPO for communicating teams; see `CommPPOConfig`."""

    @classmethod
    def get_default_config(cls) -> CommPPOConfig:
        """The default configuration."""
        return CommPPOConfig()


register_trainable("CommPPO", CommPPO)  # else Tune, given the name, would import all of RLlib's algorithms to find it


class PPOLearner(ClippedLearner):
    """The joint PPO loss of a team."""
