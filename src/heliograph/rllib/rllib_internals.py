"""What Heliograph replaces in RLlib, calls though it is private, or relies on: all of it, in one place.

RLlib may change these without notice. A test compares their source with what stands here; after an upgrade of Ray it
fails for each one that changed and says what to check. `python -m heliograph.rllib.rllib_internals` prints new digests.
"""

import dataclasses
import hashlib
import importlib
import inspect
from typing import Any

__all__ = ["RAY_VERSION", "RELIED_ON", "Relied", "changes"]

RAY_VERSION = "2.60.0"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Relied:
    """A function of RLlib (`module:Class.name`), the digest of its source, and what to check when that changes."""

    name: str
    digest: str
    check: str

    @property
    def short(self) -> str:
        """`Class.name`."""
        return self.name.partition(":")[2]

    def stock(self) -> Any:
        """The function as the installed Ray has it."""
        module, _, path = self.name.partition(":")
        found: Any = importlib.import_module(module)
        for part in path.split("."):
            found = inspect.getattr_static(found, part)
        return getattr(found, "__func__", found)

    def digest_now(self) -> str:
        """Digest of the source in the installed Ray."""
        return hashlib.sha256(inspect.getsource(self.stock()).encode()).hexdigest()[:12]


RELIED_ON = (
    Relied(
        name="ray.rllib.core.learner.torch.torch_learner:TorchLearner._make_modules_ddp_if_necessary",
        digest="12bb202be8b6",
        check="TeamLearner replaces it: DDP of single modules never sees a joint forward pass. Run the tests of two "
        "learners; is it still called once in build()?",
    ),
    Relied(
        name="ray.rllib.core.learner.torch.torch_learner:TorchLearner.build",
        digest="d8ffc285ad09",
        check="TeamLearner.build extends it: are modules and optimisers still built in it, and seeds set?",
    ),
    Relied(
        name="ray.rllib.core.learner.torch.torch_learner:TorchLearner.compute_gradients",
        digest="f2d27623d7f8",
        check="TeamLearner.compute_gradients replaces it (gradient scalers are refused): does it do anything new?",
    ),
    Relied(
        name="ray.rllib.core.learner.torch.torch_learner:TorchLearner.apply_gradients",
        digest="5613837a71ab",
        check="TeamLearner.apply_gradients replaces it without its checks of every gradient: does it do anything new?",
    ),
    Relied(
        name="ray.rllib.core.learner.learner:Learner.update",
        digest="3881ea924277",
        check="TeamLearner.update replaces it: are there new arguments, or steps (hooks, metrics) that it must take?",
    ),
    Relied(
        name="ray.rllib.core.learner.learner:Learner._check_is_built",
        digest="e420ca8bd4d1",
        check="Called by TeamLearner.update: still there?",
    ),
    Relied(
        name="ray.rllib.core.learner.learner:Learner.get_state",
        digest="45fffccf762a",
        check="TeamLearner adds random streams to it: does it save something new that a resumed run needs?",
    ),
    Relied(
        name="ray.rllib.core.learner.learner:Learner.set_state",
        digest="9031eef19d99",
        check="TeamLearner resets weights_seq_no before it, so that older weights are taken over: still needed, still "
        "enough?",
    ),
    Relied(
        name="ray.rllib.core.learner.learner_group:LearnerGroup.update",
        digest="5d1c130b2651",
        check="CommunicationAlgorithm hands it rollouts as `episodes` (local) or `batches` (remote): are they still "
        "unchecked, and passed on whole?",
    ),
    Relied(
        name="ray.rllib.algorithms.algorithm:Algorithm._run_one_training_iteration",
        digest="8938648a9916",
        check="It restores dead env runners before each training_step and fires on_env_runners_recreated.",
    ),
    Relied(
        name="ray.rllib.algorithms.algorithm:Algorithm._make_on_env_runners_recreated_callbacks",
        digest="727b2d3c552f",
        check="Called where all runners died in the middle of a batch: same arguments?",
    ),
    Relied(
        name="ray.rllib.algorithms.algorithm:Algorithm.restore_env_runners",
        digest="552a3210db66",
        check="It gives a new env runner the state of the local one: does it still bring the learner's weights?",
    ),
    Relied(
        name="ray.rllib.algorithms.algorithm:Algorithm.evaluate",
        digest="16da0301ceb0",
        check="CommunicationAlgorithm.evaluate extends it: are errors of remote runners still ignored by it?",
    ),
    Relied(
        name="ray.rllib.algorithms.algorithm:Algorithm.get_state",
        digest="9134d217a90c",
        check="CommunicationAlgorithm adds the states of remote runners: does RLlib save them itself now?",
    ),
    Relied(
        name="ray.rllib.algorithms.algorithm:Algorithm.set_state",
        digest="05cd020875a1",
        check="CommunicationAlgorithm adds the states of remote runners: is it still called by from_checkpoint?",
    ),
    Relied(
        name="ray.rllib.algorithms.algorithm:Algorithm.restore_from_path",
        digest="8190f5877398",
        check="Components, then state: do weights reach the runners, and does nothing reset their samplers after?",
    ),
    Relied(
        name="ray.rllib.utils.checkpoints:Checkpointable.save_to_path",
        digest="3d36f7716cc1",
        check="Top-level keys of get_state() go to state.pkl: does `remote_env_runners` still get there?",
    ),
    Relied(
        name="ray.rllib.core.learner.torch.torch_learner:TorchLearner._set_optimizer_lr",
        digest="c6413fc3382c",
        check="TeamLearner.set_state calls it for fixed learning rates: does it still write into param_groups?",
    ),
    Relied(
        name="ray.rllib.utils.checkpoints:Checkpointable._check_component",
        digest="bf7948030b73",
        check="Called by get_state of runner, learner and algorithm: same arguments and meaning?",
    ),
    Relied(
        name="ray.rllib.utils.actor_manager:FaultAwareApply.apply",
        digest="756848f48242",
        check="TeamEnvRunner.apply replaces its way with exceptions of users' code (log, sleep, end the process).",
    ),
    Relied(
        name="ray.rllib.utils.actor_manager:FaultTolerantActorManager._fetch_result",
        digest="b9365e317cce",
        check="Results come in the order of the actors (same seed, same batch), and errors mark actors unhealthy.",
    ),
    Relied(
        name="ray.rllib.env.env_runner_group:EnvRunnerGroup.sync_weights",
        digest="55a70f615d3e",
        check="It sends {rl_module, weights_seq_no} to the healthy runners and the local one: TeamEnvRunner.set_state.",
    ),
    Relied(
        name="ray.rllib.env.env_runner_group:EnvRunnerGroup.__init__",
        digest="b53f12569883",
        check="Where Ray does not run, session.ray_only_where_it_runs keeps what it would `ray.put`: does it store "
        "more, by another name? `_remote_args['max_restarts']` says whether runners are started anew.",
    ),
    Relied(
        name="ray.rllib.core.learner.learner_group:LearnerGroup._get_results",
        digest="d6fb1c07642f",
        check="It raises the first error in the order of the learners, which may be that of one that waited for "
        "another: learning.learners_answering asks all of them what they failed of.",
    ),
    Relied(
        name="ray.rllib.env.env_runner_group:EnvRunnerGroup._make_worker",
        digest="d8938d702b91",
        check="The arguments that TeamEnvRunner gets: worker_index, num_workers, spaces.",
    ),
    Relied(
        name="ray.rllib.env.env_runner:EnvRunner.__init__",
        digest="5bad63b7c990",
        check="Seeds: self._seed must differ from runner to runner, and between training and evaluation.",
    ),
    Relied(
        name="ray.rllib.core.rl_module.rl_module:RLModule._forward",
        digest="75b2b8cc87ed",
        check="PolicyModule replaces it: is it still the one that all three forward methods fall back to?",
    ),
)


def changes() -> list[str]:
    """Return what the installed Ray has that is not what Heliograph was written for; one sentence each."""
    found = []
    for relied in RELIED_ON:
        try:
            now = relied.digest_now()
        except (AttributeError, ImportError, OSError) as error:
            found.append(f"{relied.name} is gone ({error}). {relied.check}")
            continue
        if now != relied.digest:
            found.append(f"{relied.name} is not that of Ray {RAY_VERSION}: its digest is {now}. {relied.check}")
    return found


if __name__ == "__main__":
    for each in RELIED_ON:
        print(each.digest_now(), each.name)
