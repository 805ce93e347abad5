"""Every setting of RLlib's AlgorithmConfig, by name: what it changes here, or why it is refused and what does the same.

The table is whole: a test holds it against the installed Ray, so that a setting which an upgrade brings must be put in.
"""

import dataclasses
import enum
import functools
from collections.abc import Callable
from typing import Any

from ray.rllib.algorithms.algorithm_config import AlgorithmConfig

__all__ = ["SETTINGS", "Effect", "Heeded", "Refused", "attribute_of"]


class Effect(enum.Enum):
    """Choice of what shows that a setting is heeded."""

    LEARNING = "weights"
    """Other weights after an update, or another team."""
    RUN = "processes, devices, and time"
    """How the work is spread, what it may use, and what happens when a part of it fails."""
    SEEN = "what is seen of a run"
    """Evaluation, metrics, files, callbacks."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Heeded:
    """A setting with an effect; `evaluation` tells whether `evaluation_config` may hold it."""

    effect: Effect
    evaluation: bool = False


@dataclasses.dataclass(frozen=True, kw_only=True)
class Refused:
    """A setting without effect, why and what to do; `unless` tells of a configuration that it has one there."""

    why: str
    unless: Callable[[Any], bool] = lambda config: False


def _heeded(effect: Effect, *names: str, evaluation: bool = False) -> dict[str, Heeded]:
    return dict.fromkeys(names, Heeded(effect=effect, evaluation=evaluation))


def _refused(why: str, *names: str, unless: Callable[[Any], bool] = lambda config: False) -> dict[str, Refused]:
    return dict.fromkeys(names, Refused(why=why, unless=unless))


CONNECTORS = (
    "connectors work on RLlib's episode objects, which this path never makes; normalise with "
    ".communication(normalise_observations=True), or transform inside the environment or the model's encode()"
)
STACK = "only RLlib's new API stack is there; leave it out"
OLD = "it is of RLlib's old API stack, or of other algorithms; leave it out"
TORCH = "Heliograph runs on torch alone; leave it out"
COMPILED = "networks are not compiled here; leave it out"
COPIES = "copies are batched inside one environment: num_envs_per_env_runner says how many; leave it out"
EPISODES = "rollouts are whole tensors, and no episode objects are made; leave it out"
OFFLINE = "a team learns from its own rollouts, and is evaluated by playing; leave it out"
OUTPUT = "there are no episode objects to write; record a corpus, by `heliograph record` or a callback"
STATES = "env runners have no states of connectors to be merged or broadcast; leave it out"
SYNCHRONOUS = "sampling and learning wait for each other, with one request to each process at a time; leave it out"
AGGREGATED = "nothing is aggregated here; leave it out"
SPACES = "spaces are read off the environment itself; leave it out, or give the environment another space"
BOUNDS = "Heliograph itself keeps the actions of a Box within its bounds; leave it out"
NEVER_FIRED = (
    "nothing ever calls it; derive from heliograph.rllib.callbacks.TeamCallbacks and fill in on_episodes_end, which "
    "gets whole batches"
)
MEANS = "means are over the episodes that ended in an iteration; leave it out"

SETTINGS: dict[str, Heeded | Refused] = {
    # ---- environment ----
    **_heeded(Effect.LEARNING, "env", "env_config", evaluation=True),
    **_refused(SPACES, "observation_space", "action_space"),
    **_refused("pictures are drawn from a trained team: use `heliograph render`; leave it out", "render_env"),
    **_refused(
        "rewards are learnt from as they are; use .communication(normalise_rewards=True), or clip them in the "
        "environment",
        "clip_rewards",
    ),
    **_refused(BOUNDS, "normalize_actions", "clip_actions"),
    **_refused("every environment is tried for two steps before training; leave it out", "disable_env_checking"),
    **_refused("nothing is made up for Atari; leave it out, and wrap the environment", "is_atari"),
    **_refused("masks are read from 'action_mask' in observations or infos; rename it there", "action_mask_key"),
    # ---- multi_agent, rl_module ----
    **_heeded(Effect.LEARNING, "policies", "policy_mapping_fn", "policies_to_train"),
    **_heeded(Effect.LEARNING, "rl_module_spec", "algorithm_config_overrides_per_module"),
    **_refused(
        "it reaches RLModules of your own alone, and none is given without a model_config; use "
        ".communication(model_settings={...})",
        "model_config",
        unless=lambda config: config.takes_model_config(),
    ),
    **_refused("all policies stay in memory; leave it out", "policy_map_capacity", "policy_states_are_swappable"),
    **_refused("observations go to the models as they are; change them in the environment", "observation_fn"),
    **_refused("batches and budgets count env steps, moves of the whole team; leave it out", "count_steps_by"),
    # ---- env_runners ----
    **_heeded(Effect.LEARNING, "explore", "num_envs_per_env_runner", evaluation=True),
    **_heeded(Effect.LEARNING, "num_env_runners", "rollout_fragment_length", "batch_mode"),
    **_heeded(
        Effect.RUN, "env_runner_cls", "create_local_env_runner", "create_env_on_local_worker",
        "num_cpus_per_env_runner", "num_gpus_per_env_runner", "custom_resources_per_env_runner",
        "validate_env_runners_after_construction", evaluation=True,
    ),
    **_heeded(Effect.RUN, "sample_timeout_s"),
    **_refused(CONNECTORS, "env_to_module_connector", "module_to_env_connector"),
    **_refused(
        CONNECTORS, "add_default_connectors_to_env_to_module_pipeline",
        "add_default_connectors_to_module_to_env_pipeline",
    ),
    **_refused(COPIES, "gym_env_vectorize_mode", "remote_worker_envs", "remote_env_batch_wait_ms"),
    **_refused(SYNCHRONOUS, "max_requests_in_flight_per_env_runner"),
    **_refused(EPISODES, "episode_lookback_horizon", "episodes_to_numpy", "compress_observations"),
    **_refused(
        STATES, "merge_env_runner_states", "broadcast_env_runner_states", "use_env_runner_state_server",
        "env_runner_state_server_max_concurrency", "_dont_auto_sync_env_runner_states",
        "sync_filters_on_rollout_workers_timeout_s",
    ),
    **_refused(
        "filters are of the old API stack; use .communication(normalise_observations=True)", "observation_filter",
        "use_worker_filter_stats", "update_worker_filter_stats",
    ),
    **_refused("policies are sampled from; choose qlearning and set its epsilon to explore so", "exploration_config"),
    **_refused(OLD, "sample_collector", "preprocessor_pref", "sampler_perf_stats_ema_coef"),
    # ---- learners ----
    **_heeded(Effect.LEARNING, "num_learners", "learner_class"),
    **_heeded(
        Effect.RUN, "num_cpus_per_learner", "num_gpus_per_learner", "custom_resources_per_learner", "local_gpu_idx"
    ),
    **_refused(AGGREGATED, "num_aggregator_actors_per_learner", "max_requests_in_flight_per_aggregator_actor"),
    **_refused(SYNCHRONOUS, "max_requests_in_flight_per_learner"),
    **_refused(CONNECTORS, "learner_connector", "add_default_connectors_to_learner_pipeline"),
    **_refused(
        "only a learner class of your own would read it; set learner_class too, or leave it out",
        "learner_config_dict",
        unless=lambda config: config._learner_class is not None,
    ),
    # ---- training ----
    **_heeded(Effect.LEARNING, "gamma", "lr", "grad_clip", "grad_clip_by"),
    **_heeded(Effect.LEARNING, "train_batch_size_per_learner", "num_epochs", "minibatch_size"),
    **_refused("use train_batch_size_per_learner, in env steps; leave it out", "train_batch_size"),
    **_refused("copies are shuffled anew in every epoch as it is; leave it out", "shuffle_batch_per_epoch"),
    **_refused(
        "that dictionary is of the old API stack; use .communication(model=..., model_settings={...})", "model"
    ),
    **_refused(
        "each algorithm has its own; use lr, a2c's optimizer_name, or a learner of your own, derived from Heliograph's",
        "optimizer",
    ),
    # ---- evaluation ----
    **_heeded(
        Effect.SEEN, "evaluation_interval", "evaluation_duration", "evaluation_duration_unit", "evaluation_config",
        "custom_evaluation_function",
    ),
    **_heeded(
        Effect.RUN, "evaluation_num_env_runners", "evaluation_parallel_to_training", "evaluation_sample_timeout_s",
        "evaluation_unhealthy_workers_timeout_s", "evaluation_error_after_n_consecutive_skips",
    ),
    **_refused(
        "it bounds what evaluation_duration='auto' samples at once; set that too, or leave it out",
        "evaluation_auto_duration_min_env_steps_per_sample",
        "evaluation_auto_duration_max_env_steps_per_sample",
        unless=lambda config: config.evaluation_duration == "auto",
    ),
    **_refused(
        "whole episodes are played from their starts; leave it out, or evaluate by "
        "evaluation_duration_unit='timesteps' on remote env runners",
        "evaluation_force_reset_envs_before_iteration",
        unless=lambda config: config.evaluation_duration_unit == "timesteps" and config.evaluation_num_env_runners,
    ),
    **_refused(
        OFFLINE, "off_policy_estimation_methods", "ope_split_batch_by_episode", "offline_evaluation_interval",
        "num_offline_eval_runners", "offline_evaluation_type", "offline_eval_runner_class",
        "offline_loss_for_module_fn", "offline_eval_batch_size_per_runner",
        "dataset_num_iters_per_offline_eval_runner", "offline_eval_rl_module_inference_only",
        "num_cpus_per_offline_eval_runner", "num_gpus_per_offline_eval_runner",
        "custom_resources_per_offline_eval_runner", "offline_evaluation_timeout_s",
        "max_requests_in_flight_per_offline_eval_runner", "broadcast_offline_eval_runner_states",
        "validate_offline_eval_runners_after_construction", "restart_failed_offline_eval_runners",
        "ignore_offline_eval_runner_failures", "max_num_offline_eval_runner_restarts",
        "offline_eval_runner_health_probe_timeout_s", "offline_eval_runner_restore_timeout_s",
        "offline_evaluation_duration", "offline_evaluation_parallel_to_training",
    ),
    # ---- offline_data ----
    **_refused(
        OFFLINE, "input_", "offline_data_class", "input_read_method", "input_read_method_kwargs", "input_read_schema",
        "input_read_episodes", "input_read_sample_batches", "input_read_batch_size", "input_filesystem",
        "input_filesystem_kwargs", "input_compress_columns", "materialize_data", "materialize_mapped_data",
        "map_batches_kwargs", "iter_batches_kwargs", "ignore_final_observation", "prelearner_class",
        "prelearner_buffer_class", "prelearner_buffer_kwargs", "prelearner_module_synch_period",
        "prelearner_use_recorded_module_states", "dataset_num_iters_per_learner", "input_config",
        "actions_in_input_normalized", "postprocess_inputs", "shuffle_buffer_size", "offline_sampling",
        "input_spaces_jsonable",
    ),
    **_refused(
        OUTPUT, "output", "output_config", "output_compress_columns", "output_max_file_size",
        "output_max_rows_per_file", "output_write_remaining_data", "output_write_method", "output_write_method_kwargs",
        "output_filesystem", "output_filesystem_kwargs", "output_write_episodes",
    ),
    # ---- callbacks ----
    **_heeded(
        Effect.SEEN, "callbacks_class", "on_environment_created", "on_sample_end", evaluation=True,
    ),
    **_heeded(
        Effect.SEEN, "on_algorithm_init", "on_train_result", "on_evaluate_start", "on_evaluate_end",
        "on_env_runners_recreated", "on_checkpoint_loaded",
    ),
    **_refused(NEVER_FIRED, "on_episode_created", "on_episode_start", "on_episode_step", "on_episode_end"),
    **_refused(
        OFFLINE, "on_evaluate_offline_start", "on_evaluate_offline_end", "on_offline_eval_runners_recreated"
    ),
    # ---- checkpointing, debugging, reporting ----
    **_refused(OLD, "export_native_model_files", "checkpoint_trainable_policies_only", "fake_sampler"),
    **_heeded(Effect.LEARNING, "seed", evaluation=True),
    **_heeded(Effect.SEEN, "log_level"),
    **_refused("Ray's own monitors tell it; leave it out", "log_sys_usage"),
    **_heeded(
        Effect.RUN, "min_time_s_per_iteration", "min_train_timesteps_per_iteration",
        "min_sample_timesteps_per_iteration",
    ),
    **_heeded(Effect.SEEN, "custom_stats_cls_lookup", evaluation=True),
    **_refused("gradient_norm, of the whole team, is always logged; leave it out", "log_gradients"),
    **_refused(
        MEANS, "keep_per_episode_custom_metrics", "metrics_episode_collection_timeout_s",
        "metrics_num_episodes_for_smoothing",
    ),
    # ---- resources, fault_tolerance, python_environment ----
    **_heeded(
        Effect.RUN, "num_cpus_for_main_process", "custom_resources_for_main_process", "placement_strategy"
    ),
    **_refused("use .learners(num_gpus_per_learner=...); leave it out", "num_gpus", "_fake_gpus"),
    **_heeded(
        Effect.RUN, "restart_failed_env_runners", "ignore_env_runner_failures", "max_num_env_runner_restarts",
        "delay_between_env_runner_restarts_s", "env_runner_health_probe_timeout_s", "env_runner_restore_timeout_s",
        evaluation=True,
    ),
    **_refused(
        "all copies are in one process, and a failure ends the run with its cause; leave it out",
        "restart_failed_sub_environments",
    ),
    **_refused(
        "runners that die are started anew, and a run ends when they keep dying; leave it out, or set "
        "max_num_env_runner_restarts",
        "num_consecutive_env_runner_failures_tolerance",
    ),
    **_refused(
        "set variables before the run, or by ray.init(runtime_env={'env_vars': {...}}); leave it out",
        "extra_python_environs_for_driver",
        "extra_python_environs_for_worker",
    ),
    # ---- framework, api_stack ----
    **_refused(STACK, "enable_rl_module_and_learner", "enable_env_runner_and_connector_v2"),
    **_refused(
        TORCH, "framework", "eager_tracing", "eager_max_retraces", "tf_session_args", "local_tf_session_args",
        "enable_tf1_exec_eagerly", "_tf_policy_handles_more_than_one_loss",
    ),
    **_refused(
        COMPILED, "torch_compile_learner", "torch_compile_worker", "torch_compile_learner_what_to_compile",
        "torch_compile_learner_dynamo_mode", "torch_compile_learner_dynamo_backend",
        "torch_compile_worker_dynamo_mode", "torch_compile_worker_dynamo_backend",
    ),
    **_refused("learners average gradients themselves, without DDP; leave it out", "torch_ddp_kwargs"),
    **_refused(
        "a gradient that is not finite ends the run before the update; lower lr or grad_clip",
        "torch_skip_nan_gradients",
    ),
    # ---- experimental, and attributes without a method ----
    **_heeded(Effect.LEARNING, "_torch_lr_scheduler_classes"),
    **_refused("weights and gradients are of single precision; leave it out", "_torch_grad_scaler_class"),
    **_refused("LocalTrainer.save writes a state without pickles; leave it out", "_use_msgpack_checkpoints"),
    **_refused("what is wrong should show before training; leave it out", "_validate_config"),
    **_refused(
        OLD, "_disable_preprocessor_api", "_disable_action_flattening", "_disable_initialize_loss_from_dummy_batch",
        "replay_sequence_length",
    ),
}  # fmt: skip
"""By the name that `AlgorithmConfig`'s methods take; of an attribute that no method sets, by its own."""

OWN_STATE = {
    "algo_class", "in_evaluation", "simple_optimizer", "_is_frozen", "_is_online", "_per_module_overrides",
    "_prior_exploration_config",
}  # fmt: skip
"""Attributes that RLlib sets, and nobody else."""
RENAMED = {
    "framework": "framework_str",
    "custom_stats_cls_lookup": "stats_cls_lookup",
    "dataset_num_iters_per_offline_eval_runner": "dataset_num_iters_per_eval_runner",
}


@functools.cache
def attribute_of(name: str) -> str:
    """Return where AlgorithmConfig keeps the setting of a name."""
    attributes = _attributes()
    candidates = (RENAMED.get(name, name), f"_{name}", f"callbacks_{name}")
    return next(candidate for candidate in candidates if candidate in attributes)


@functools.cache
def _attributes() -> frozenset[str]:
    return frozenset(vars(AlgorithmConfig()))
