"""The learner: one joint loss over the whole team's graph, with gradients from listeners to speakers.

Private methods of RLlib that are replaced here: `_make_modules_ddp_if_necessary` (DDP of single modules would never see
a joint forward pass, and weights of several learners would drift apart without an error).
"""

import contextlib
import math
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from ray.rllib.core.learner.torch.torch_learner import TorchLearner
from ray.rllib.core.learner.training_data import TrainingData
from ray.rllib.utils.metrics import (
    ALL_MODULES,
    NUM_ENV_STEPS_SAMPLED_LIFETIME,
    NUM_ENV_STEPS_TRAINED,
    NUM_ENV_STEPS_TRAINED_LIFETIME,
    NUM_MODULE_STEPS_TRAINED,
    NUM_MODULE_STEPS_TRAINED_LIFETIME,
    WEIGHTS_SEQ_NO,
)
from ray.rllib.utils.schedules.scheduler import Scheduler
from torch import Tensor

from heliograph.experiments.choices import RESERVED_POLICY
from heliograph.isolation import isolated
from heliograph.losses.base import LossBatch
from heliograph.rllib.compiling import Computed, Found, LossCompiler
from heliograph.rllib.devices import prepare_torch
from heliograph.rllib.lessons import learn_first
from heliograph.rllib.loss_choice import LossChoice
from heliograph.rllib.module import TeamModule
from heliograph.rllib.newcomers import renew_members
from heliograph.rllib.peers import LearnerWaitError, Peers, leave
from heliograph.rllib.replaying import MOST_RATIO_ERROR, first_difference
from heliograph.rllib.running_statistics import means_of, track_statistics
from heliograph.rllib.runs.rng_state import STREAMS, get_streams, mixed_seed, seed_streams, set_streams
from heliograph.rollouts.rollout import Rollout, concatenate
from heliograph.rollouts.split_episodes import folded
from heliograph.storage.team_file import load_into
from heliograph.team.participation import Participation, presence_in
from heliograph.team.unroll import Unrolled


class TeamLearner(TorchLearner, ABC):
    """Base of the learners of Heliograph's algorithms: fills in `prepare` and `joint_loss`.

    `update` takes rollouts; everything else (optimisers per module, schedules, checkpoints) is RLlib's. Works without
    Ray being started. With several learners, gradients, counts and moments are all-reduced here.
    """

    @abstractmethod
    def prepare(self, rollout: Rollout) -> Any:
        """Compute what the epochs need once per batch (values, advantages), without gradients."""

    @abstractmethod
    def joint_loss(self, rollout: Rollout, unrolled: Unrolled, prepared: Any, copies: Tensor) -> dict[str, Tensor]:
        """Losses of a minibatch (those copies of the batch) to be added up under "total_loss", and what to log."""

    def is_enough(self, terms: dict[str, Tensor]) -> bool:
        """Tell whether to end the update early, after a minibatch with these terms; the same on all learners."""
        return False

    # ---- construction -----------------------------------------------------------------------------------------

    def build(self) -> None:
        """Build modules and optimisers; with several learners start from the weights of the first."""
        prepare_torch(num_threads=self.config.torch_num_threads)
        super().build()
        for name, loaded in self.config.loaded_policies().items():
            load_into(self.team_module[name].policy, loaded, name=name)
        learn_first(self.config, self.team_module.team)
        self.module.move_to(self._device)
        self.config.prepare_team(self.team_module.team)
        coefficients = {loss.name: loss.coefficient for loss in self.config.losses} | self.config.schedules()
        self._schedules = {
            name: Scheduler(fixed_value_or_schedule=value, framework="torch") for name, value in coefficients.items()
        }
        self.peers = Peers(number=max(1, self.config.num_learners))
        self.failure: Exception | None = None
        self._coefficients: dict[str, Any] = {}
        self._counting: set[str] = set()
        own = [*(module for _, module in self.team_module.items()), self.team_module.team]
        wanted = getattr(self.config, "compile", False)
        self._compiler = LossCompiler(own, self._traced_terms, weights=self._params) if wanted else None
        self._shuffler = torch.Generator()
        self._shuffler.manual_seed(0 if self.config.seed is None else int(self.config.seed))

    def configure_optimizers_for_module(self, module_id: str, config: Any = None) -> None:
        """One optimiser per policy (nothing for a module without weights), with its own learning rate."""
        params = [p for p in self.get_parameters(self._module[module_id]) if p.requires_grad]
        if not params:
            return
        optimizer = self.config.build_optimizer(params)
        lr = self.config.lr_of(module_id)
        self.register_optimizer(module_id=module_id, optimizer=optimizer, params=params, lr_or_lr_schedule=lr)

    def _make_modules_ddp_if_necessary(self) -> None:
        if self.config.num_learners > 1:
            for module in self._module.values():
                for tensor in module.state_dict().values():
                    torch.distributed.broadcast(tensor, src=0)

    def compute_loss_for_module(self, *, module_id: str, config: Any, batch: Any, fwd_out: Any) -> Tensor:
        """Refuses: the losses of a team's modules cannot be told apart."""
        raise RuntimeError("a team has one joint loss: fill in joint_loss")

    @property
    def team_module(self) -> TeamModule:
        """The team's modules."""
        return self.module

    @property
    def update_number(self) -> int:
        """The number of the present update, or of the last one, from 1, in the whole run."""
        return self._weights_seq_no

    @property
    def takes_traces(self) -> bool:
        """True if an update goes once through whole rollouts, so that what sampled them can be learnt from."""
        return False

    # ---- updating ---------------------------------------------------------------------------------------------

    def update(
        self,
        batch: list[Rollout] | None = None,
        *,
        episodes: list[Rollout] | None = None,
        training_data: TrainingData | None = None,
        timesteps: dict[str, Any] | None = None,
        num_epochs: int | None = None,
        minibatch_size: int | None = None,
        _no_metrics_reduce: bool = False,
        **kwargs: Any,
    ) -> Any:
        """Learn from rollouts: `num_epochs` passes over minibatches of about `minibatch_size` env steps.

        Each of several learners gets its share of the copies of one batch, folded (or not) as a whole.
        """
        self._check_is_built()
        self.before_gradient_based_update(timesteps=timesteps or {})
        if training_data is not None:
            batch, episodes = training_data.batch, training_data.episodes
        rollout = concatenate(list(batch or episodes or [])).to(self._device)
        rollout = rollout if self.config.num_learners > 1 else folded(rollout)
        self._weights_seq_no += 1
        self._env_steps = int((timesteps or {}).get(NUM_ENV_STEPS_SAMPLED_LIFETIME, 0))
        if self.config.num_learners > 1:  # only the first one's streams are saved
            seed_streams(mixed_seed(self.config.seed or 0, self._env_steps, torch.distributed.get_rank()))
        now = {name: float(schedule.update(timestep=self._env_steps)) for name, schedule in self._schedules.items()}
        self._coefficients, self._counting = now, {name for name, value in now.items() if value}
        self._apply_freezing()
        epochs, size = num_epochs or self.config.num_epochs, minibatch_size or self.config.minibatch_size
        with self._telling_others(), isolated("learning from a batch"), torch.enable_grad():
            logged = self._epochs(rollout, epochs, size)
            found = means_of(logged)
            self._check_learns(found)
            self._after_epochs(rollout)
        if "ratio_error" in found:
            self.metrics.log_value((ALL_MODULES, "first_ratio_error"), float(logged[0]["ratio_error"]), window=1)
        self._log_update(rollout, found)
        self.after_gradient_based_update(timesteps=timesteps or {})
        return None if _no_metrics_reduce else self.metrics.reduce()

    @contextlib.contextmanager
    def _telling_others(self) -> Iterator[None]:
        """Remember a failure, and let go of the other learners, who would wait for this one."""
        try:
            yield
        except Exception as error:
            if self.config.num_learners > 1 and not isinstance(error, LearnerWaitError):
                self.failure = error
                leave()
            raise

    def _epochs(self, rollout: Rollout, num_epochs: int, minibatch_size: int | None) -> list[dict[str, Tensor]]:
        if rollout.trace is not None:
            return self._at_once(rollout)
        prepared, parts = self.prepare(rollout), self._num_parts(rollout, minibatch_size)
        logged: list[dict[str, Tensor]] = []
        presence = presence_in(rollout, self.team_module.team.layout)
        graph = self._graph(rollout, prepared, presence)
        for _ in range(num_epochs):
            for copies in rollout.split(parts, generator=self._shuffler):
                found = None if graph is None else graph(copies)
                logged.append(self._step(rollout.select(copies), prepared, copies, presence, found, first=not logged))
                if self.is_enough(logged[-1]):
                    return logged
        return logged

    def _graph(self, rollout: Rollout, prepared: Any, presence: dict[str, Participation]) -> Computed | None:
        """The compiled loss of this batch's minibatches, where that is wanted."""
        if self._compiler is None:
            return None
        return self._compiler.of_batch(rollout, prepared, presence=presence, coefficients=self._coefficients)

    def _num_parts(self, rollout: Rollout, minibatch_size: int | None) -> int:
        """Into how many minibatches the copies are cut: as many on every learner, who all step together."""
        if minibatch_size is None:
            return 1
        parts = min(rollout.num_envs, max(1, round(rollout.num_envs * rollout.num_steps / minibatch_size)))
        return self.peers.least(parts, device=self._device)

    def _at_once(self, rollout: Rollout) -> list[dict[str, Tensor]]:
        """One step on the whole rollout, its copies in their order."""
        everyone = torch.arange(rollout.num_envs, device=rollout.rewards.device)
        return [self._step(rollout, self.prepare(rollout), everyone, first=True)]

    def _step(
        self, minibatch: Rollout, prepared: Any, copies: Tensor, presence: dict[str, Participation] | None = None,
        found: Found | None = None, *, first: bool,
    ) -> dict[str, Tensor]:  # fmt: skip
        """Move the weights once; `found` are terms and gradients of all weights where a graph has computed them."""
        unrolled = None
        if found is None:
            unrolled = self._unrolled(minibatch, presence)
            terms = self._terms(minibatch, unrolled, prepared, copies)
            gradients = self.compute_gradients({ALL_MODULES: terms["total_loss"]})
        else:
            terms, gradients = found
            for parameter in self._params.values():
                parameter.grad = None
        gradients = {key: grad for key, grad in gradients.items() if grad is not None}
        terms["gradient_norm"] = self._combine(gradients)
        ratio_error = terms.get("ratio_error", terms["gradient_norm"].new_zeros(()))
        asked = torch.stack([terms["gradient_norm"], terms["total_loss"].detach(), ratio_error])
        norm, total, moved = asked.tolist()
        if first and moved > MOST_RATIO_ERROR:
            unrolled = unrolled or self._unrolled(minibatch, presence)
            layout = self.team_module.team.layout
            raise ValueError(first_difference(minibatch, unrolled, layout=layout, env_steps=self._env_steps))
        if not math.isfinite(norm + total):
            self._diverged(terms, gradients)
        self._clip(gradients, norm)
        self.apply_gradients(gradients)
        return {key: value.detach() for key, value in terms.items()}

    def _unrolled(self, minibatch: Rollout, presence: Mapping[str, Participation] | None) -> Unrolled:
        team = self.team_module.team
        return team.traced(minibatch) if minibatch.trace else team.unroll(minibatch, presence=presence)

    def _terms(self, minibatch: Rollout, unrolled: Unrolled, prepared: Any, copies: Tensor) -> dict[str, Tensor]:
        """The algorithm's loss, with the auxiliary losses added to it."""
        terms = self.joint_loss(minibatch, unrolled, prepared, copies)
        loss_batch = LossBatch(rollout=minibatch, unrolled=unrolled, team=self.team_module.team)
        for loss in self.config.losses:
            value = self._auxiliary(loss, loss_batch)
            terms[f"loss_{loss.name}"] = value.detach()
            terms["total_loss"] = terms["total_loss"] + self._coefficient(loss.name) * value
        return terms

    def _traced_terms(
        self, minibatch: Rollout, prepared: Any, presence: Mapping[str, Participation], coefficients: Mapping[str, Any]
    ) -> dict[str, Tensor]:
        """The same, of all copies and with coefficients that a graph takes as tensors."""
        everyone = torch.arange(minibatch.num_envs, device=minibatch.rewards.device)
        before, self._coefficients = self._coefficients, dict(coefficients)
        try:
            return self._terms(minibatch, self._unrolled(minibatch, presence), prepared, everyone)
        finally:
            self._coefficients = before

    def _diverged(self, terms: dict[str, Tensor], gradients: dict[Any, Tensor]) -> None:
        """Stop before the bad update, and say which policy and which term it is and what helps."""
        values = {key: float(value.detach()) for key, value in terms.items()}
        named = [f"{key} is {value:g}" for key, value in values.items() if not math.isfinite(value)]
        own = {name: {id(p) for p in module.parameters()} for name, module in self.team_module.items()}
        hit = {id(self._params[key]) for key, x in gradients.items() if not bool(torch.isfinite(x).all())}
        hits = [f"the gradient of {name!r} is not finite" for name, ids in own.items() if ids & hit]
        raise FloatingPointError(
            f"training diverged after {self._env_steps} env steps: {', '.join(named + hits)}. This update was not "
            f"made, and checkpoints, where there are any, hold weights from before it. Try to lower lr "
            f"(now {self.config.lr}) or grad_clip (now {self.config.grad_clip}; 0.5 is usual), or use "
            "normalise_observations and normalise_rewards: rewards or observations far from 1 in size do this, too"
        )

    def compute_gradients(self, loss_per_module: dict[str, Tensor], **kwargs: Any) -> dict[Any, Tensor | None]:
        """Gradients of the joint loss; as RLlib's own, which empties them through the profiler of each optimiser."""
        total = loss_per_module[ALL_MODULES]
        for parameter in self._params.values():
            parameter.grad = None
        if total.requires_grad:
            total.backward()
        return {key: parameter.grad for key, parameter in self._params.items()}

    def apply_gradients(self, gradients_dict: dict[Any, Tensor]) -> None:
        """Step all optimisers. RLlib's own asks of every gradient twice whether it is finite; here the norm tells."""
        if self._lr_scheduler_classes is not None:
            return super().apply_gradients(gradients_dict)
        for key, gradient in gradients_dict.items():
            self._params[key].grad = gradient
        for module_id, names in self._module_optimizers.items():
            for name in names:
                self.get_optimizer(module_id, name).step()

    def _auxiliary(self, loss: LossChoice, batch: LossBatch) -> Tensor:
        shared = self.team_module[RESERVED_POLICY]
        function = shared.losses[loss.name] if loss.name in shared.losses else loss.resolved()
        value = function(batch)
        if value.dim():
            raise ValueError(f"loss {loss.name!r} is {list(value.shape)} numbers: must be one, such as their mean")
        return value.to(self._device)

    def _coefficient(self, name: str) -> Any:
        """A coefficient in this update; a tensor where a graph is traced."""
        return self._coefficients[name]

    def counts(self, name: str) -> bool:
        """Tell whether a coefficient is other than 0 in this update."""
        return name in self._counting

    def _combine(self, gradients: dict[Any, Tensor]) -> Tensor:
        """Average over learners; returns the norm of the whole team's gradient."""
        if self.peers.number > 1:
            self.peers.average(gradients, of=self._params)
        if not gradients:
            return torch.zeros((), device=self._device)
        return torch.linalg.vector_norm(torch.stack(torch._foreach_norm(list(gradients.values()))))

    def _clip(self, gradients: dict[Any, Tensor], norm: float) -> None:
        if self.config.grad_clip is None or not gradients:
            return
        if self.config.grad_clip_by == "value":
            torch._foreach_clamp_min_(list(gradients.values()), -self.config.grad_clip)
            torch._foreach_clamp_max_(list(gradients.values()), self.config.grad_clip)
        elif norm > self.config.grad_clip:
            torch._foreach_mul_(list(gradients.values()), self.config.grad_clip / (norm + 1e-6))

    # ---- after an update --------------------------------------------------------------------------------------

    def _after_epochs(self, rollout: Rollout) -> None:
        """Move what must be the same in a rollout and its loss: observation and message statistics, temperatures."""
        team = self.team_module.team
        track_statistics(team, rollout, peers=self.peers, trained=[p for p in team.policies if self.is_trained(p)])
        if not self.config.freeze_team:
            team.channel.schedule(self._env_steps)
        renew_members(self)

    def is_trained(self, policy: str) -> bool:
        """Tell whether a policy (or the shared module) learns in the present update."""
        return self.config.is_trained(policy, num_env_steps=self._env_steps)

    def _apply_freezing(self) -> None:
        for name, module in self.team_module.items():
            trained = self.is_trained(name)
            learnable = getattr(module, "policy", None) is None or module.policy.model.trainable
            module.requires_grad_(trained and learnable)
            module.train(trained)

    def _check_learns(self, means: dict[str, float]) -> None:
        """Refuse an update without any gradient, unless there was nothing to learn from in it."""
        learning = [name for name in self.team_module.keys() if self._learns(name)]
        if not means or means["gradient_norm"] or not means["total_loss"] or not learning:
            return
        raise ValueError(
            f"the gradient of the whole update after {self._env_steps} env steps is exactly 0, so that nothing is "
            f"learnt, though these are to be trained: {', '.join(learning)}. Look for code that switches gradients off "
            "or detaches (in an environment, a model, a channel, a loss), for coefficients that are all 0, and for "
            "policies_to_train that neither act nor are heard"
        )

    def _learns(self, name: str) -> bool:
        """Tell whether a module has weights that are to be trained in this update."""
        return any(parameter.requires_grad for parameter in self.team_module[name].parameters())

    def _log_update(self, rollout: Rollout, means: dict[str, float]) -> None:
        now = {f"coefficient_{name}": value for name, value in self._coefficients.items()}
        for key, value in {**means, **now}.items():
            self.metrics.log_value((ALL_MODULES, key), value, window=1)
        steps, turns = rollout.env_steps(), rollout.agent_steps()
        self.metrics.log_value((ALL_MODULES, NUM_ENV_STEPS_TRAINED), steps, reduce="sum")
        self.metrics.log_value((ALL_MODULES, NUM_ENV_STEPS_TRAINED_LIFETIME), steps, reduce="lifetime_sum")
        self.metrics.log_value((ALL_MODULES, NUM_MODULE_STEPS_TRAINED), turns, reduce="sum")
        self.metrics.log_value((ALL_MODULES, NUM_MODULE_STEPS_TRAINED_LIFETIME), turns, reduce="lifetime_sum")

    # ---- state ------------------------------------------------------------------------------------------------

    def get_state(self, components: Any = None, *, not_components: Any = None, **kwargs: Any) -> dict[str, Any]:
        """RLlib's state, the stream that shuffles minibatches, and those of the process."""
        state = super().get_state(components, not_components=not_components, **kwargs)
        if self._check_component(STREAMS, components, not_components):
            state[STREAMS] = {"shuffler": self._shuffler.get_state(), "process": get_streams()}
        return state

    def set_state(self, state: dict[str, Any]) -> None:
        """Take over a state, older ones too (RLlib alone keeps newer weights when an old checkpoint is restored)."""
        number = state.get(WEIGHTS_SEQ_NO, 0)
        if number:
            self._weights_seq_no = -1
        super().set_state(state)
        if number:
            self._weights_seq_no = number
        if STREAMS in state:
            self._shuffler.set_state(state[STREAMS]["shuffler"])
            set_streams(state[STREAMS]["process"])
        self._apply_own_lr()

    def _apply_own_lr(self) -> None:
        """Keep this learner's fixed learning rates: an optimiser's state brings that of whoever saved it.

        RLlib applies them only after the next update, so that under PBT the first one would use the donor's.
        """
        for optimizer, scheduler in self._optimizer_lr_schedules.items():
            if not scheduler.use_schedule:
                self._set_optimizer_lr(optimizer, lr=scheduler.get_current_value())
