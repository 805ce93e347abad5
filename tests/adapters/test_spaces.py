"""Spaces and masks: what agents see and do goes both ways, whatever the space."""

import itertools
from typing import Any

import numpy as np
import pytest
import torch
from gymnasium import spaces
from hypothesis import HealthCheck, assume, example, given, settings
from hypothesis import strategies as st

from heliograph import distributions
from heliograph.adapters.actions import ActionMap, acted
from heliograph.adapters.arrays import empty
from heliograph.adapters.spaces import observed
from heliograph.envs.base import check_observation_space, flat_observation, flat_size
from heliograph.types import Choice
from tests.adapters.spaces_drawn import CHOSEN, NUMBERS, SEEN

quick = settings(max_examples=50, deadline=None, suppress_health_check=list(HealthCheck))


def same(one: Any, other: Any) -> bool:
    """Whether two values of a space are equal, as float32 keeps them."""
    if isinstance(one, dict):
        return set(one) == set(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, tuple):
        return isinstance(other, tuple) and len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, str):
        return one == other
    one, other = np.asarray(one), np.asarray(other)
    if one.dtype.kind == "f":
        one, other = one.astype(np.float32), other.astype(np.float32)
    return bool(np.array_equal(one, other))


# ---- what is seen --------------------------------------------------------------------------------------------------


@quick
@given(space=SEEN, seed=st.integers(0, 99))
def test_observations_go_both_ways(space: spaces.Space, seed: int) -> None:
    space.seed(seed)
    seen = observed(space)
    check_observation_space(seen.space, "agent")
    assert seen.describe()
    arrays = empty(seen.space, (2, 3))
    values = [space.sample() for _ in range(3)]
    for value in values:  # the last one stays, whatever stood there before
        seen.write(arrays, (1, 2), value)
    got = seen.read(arrays, (1, 2))
    assert same(values[-1], got)
    tensors = {k: torch.tensor(v) for k, v in arrays.items()} if isinstance(arrays, dict) else torch.tensor(arrays)
    flat = flat_observation(seen.space, tensors)
    assert flat.shape == (2, 3, flat_size(seen.space)) and flat.dtype == torch.float32
    if all(np.dtype(leaf.dtype) != np.float64 for leaf in leaves(space)):
        assert space.contains(got)


def leaves(space: Any) -> list[spaces.Space]:
    if isinstance(space, (spaces.Tuple, spaces.Dict, spaces.OneOf)):
        parts = space.spaces.values() if isinstance(space, spaces.Dict) else space.spaces
        return [leaf for part in parts for leaf in leaves(part)]
    return [space]


def test_parts_are_named_by_their_paths() -> None:
    inner = spaces.Dict({"x.y": spaces.Discrete(2), "x_y": spaces.Discrete(3)})
    parts = [spaces.Discrete(3, start=1), *[spaces.Box(0, 1, (2,))] * 9, inner]
    seen = observed(spaces.Tuple(parts))
    assert list(seen.space.spaces) == [f"{i:02d}" for i in range(10)] + ["10/0_x_y", "10/1_x_y"]
    assert seen.space["00"] == spaces.Discrete(3) and seen.space["10/1_x_y"] == spaces.Discrete(3)


@pytest.mark.parametrize(
    ("shape", "dtype", "high", "becomes"),
    [
        ((84, 84, 3), np.uint8, 255, (84, 84, 3)),
        ((210, 160, 3), np.uint8, 255, (210, 160, 3)),
        ((3, 210, 160), np.uint8, 255, (210, 160, 3)),
        ((4, 84, 84), np.uint8, 255, (84, 84, 4)),
        ((1, 28, 28), np.float32, 1, (28, 28, 1)),
        ((12, 84, 84), np.uint8, 255, (84, 84, 12)),
        ((84, 84, 12), np.uint8, 255, (84, 84, 12)),
        ((6, 210, 160), np.uint8, 255, (210, 160, 6)),
        ((84, 84), np.uint8, 255, (84, 84, 1)),
        ((84, 96), np.float32, 255, (84, 96, 1)),
        ((4, 84, 84, 3), np.uint8, 255, (84, 84, 12)),
        ((4, 3, 84, 96), np.uint8, 255, (84, 96, 12)),
        ((13, 13, 5), np.float32, 2, (13, 13, 5)),  # planes of a grid world
        ((12, 9, 9), np.float32, 1, (9, 9, 12)),
        ((5, 4, 26), np.int64, 20, (5, 4, 26)),
        ((4, 5, 26), np.int64, 20, (4, 5, 26)),
        ((3, 3, 2), np.int8, 1, (3, 3, 2)),
        ((6, 7, 2), np.int8, 1, (6, 7, 2)),
        ((84, 84), np.float32, 1, None),  # a table
        ((5, 30), np.uint8, 255, None),
        ((128,), np.uint8, 255, None),
    ],
)
def test_images_are_recognised_by_rule(shape: tuple, dtype: Any, high: int, becomes: tuple | None) -> None:
    space = spaces.Box(0, high, shape, dtype)
    seen = observed(space)
    assert seen.space.shape == (becomes or shape) and seen.space.dtype == dtype
    assert ("image" in seen.describe()) == (becomes is not None)
    if becomes == shape or becomes is None:
        assert seen.space is space


def test_frames_keep_their_pixels_together() -> None:
    seen = observed(spaces.Box(0, 255, (4, 9, 8, 3), np.uint8))
    value = np.arange(4 * 9 * 8 * 3).reshape(4, 9, 8, 3).astype(np.uint8)
    arrays = empty(seen.space, (1,))
    seen.write(arrays, (0,), value)
    assert arrays.dtype == np.uint8
    assert np.array_equal(arrays[0, 2, 5].reshape(4, 3), value[:, 2, 5])


@pytest.mark.parametrize(
    "space",
    [
        spaces.Sequence(spaces.Discrete(2)), spaces.Graph(spaces.Box(0, 1, (2,)), None), spaces.Dict({}),
        spaces.Tuple([spaces.Discrete(2), spaces.Dict(a=spaces.Sequence(spaces.Box(0, 1, (2,))))]),
        spaces.Space((3,), np.float32),
    ],
)  # fmt: skip
def test_observations_of_no_fixed_size_are_refused_with_the_remedy(space: spaces.Space) -> None:
    with pytest.raises(ValueError, match=r"observation space .*(wrap the environment|show a constant).* Box"):
        observed(space)


@pytest.mark.parametrize(
    ("space", "value", "words"),
    [
        (spaces.Discrete(3, start=2), 5, "5 is not in Discrete"),
        (spaces.Discrete(3), 1.5, "1.5 is not in Discrete"),
        (spaces.Discrete(3), [1, 2], r"its shape is \(2,\), not \(\)"),
        (spaces.MultiDiscrete([2, 2], start=[1, 1]), np.array([0, 1]), "is not in MultiDiscrete"),
        (spaces.MultiBinary(2), np.array([0, 2]), "is not in MultiBinary"),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([0.5, 1.0]), "whole numbers from 0 to 255"),
        (spaces.Box(0, 255, (2,), np.uint8), np.array([0, 300]), "whole numbers from 0 to 255"),
        (spaces.Box(-np.inf, np.inf, (1,), np.float64), np.array([1e300]), "none beyond those of float32"),
        (spaces.Box(-np.inf, np.inf, (1,)), np.array([np.nan]), "finite"),
        (spaces.Text(2), "abc", "'abc' is not in Text"),
        (spaces.Tuple([spaces.Discrete(2)]), (1, 1), "a tuple of 1"),
        (spaces.Tuple([spaces.Discrete(2)]), (7,), "'0': 7 is not in"),
        (spaces.Dict(a=spaces.Discrete(2)), {}, r"lacks \['a'\]"),
        (spaces.OneOf([spaces.Discrete(2)]), (4, 1), "one of the first 1 parts"),
    ],
)
def test_values_outside_their_space_are_refused(space: spaces.Space, value: Any, words: str) -> None:
    seen = observed(space)
    with pytest.raises(ValueError, match=words):
        seen.write(empty(seen.space, ()), (), value)


# ---- what is done --------------------------------------------------------------------------------------------------


@quick
@given(space=CHOSEN | NUMBERS, seed=st.integers(0, 99))
def test_whatever_a_policy_puts_out_is_an_action(space: spaces.Space, seed: int) -> None:
    acts, stream = acted(space), torch.Generator().manual_seed(seed)
    distributions.check_action_space(acts.space)
    inputs = 3 * torch.randn(20, distributions.num_inputs(acts.space), generator=stream)
    rows = distributions.sample(acts.space, inputs, choice=Choice.SAMPLED, generator=stream)
    for row in distributions.legal(acts.space, rows).numpy():
        action = acts.action(row)
        assert space.contains(action), (space, action)
        if not isinstance(acts.space, spaces.Box):
            assert same(acts.action(acts.row(action)), action)


@quick
@given(space=CHOSEN | NUMBERS, seed=st.integers(0, 99))
@example(space=spaces.MultiDiscrete([3, 2], dtype=np.int32), seed=0)
def test_every_action_can_be_put_out(space: spaces.Space, seed: int) -> None:
    space.seed(seed)
    acts = acted(space)
    action = space.sample()
    row = acts.row(action)
    assert acts.space.contains(row) or isinstance(acts.space, spaces.Box)
    assert same(acts.action(row), action)


def every_row(acts: ActionMap) -> list[np.ndarray]:
    sizes = distributions.num_choices(acts.space)
    rows = [np.array(picks) for picks in itertools.product(*map(range, sizes))]
    return [row[0] for row in rows] if isinstance(acts.space, spaces.Discrete) else rows


def key(value: Any) -> Any:
    if isinstance(value, dict):
        return tuple(key(part) for part in value.values())
    return tuple(map(key, value)) if isinstance(value, tuple) else str(np.asarray(value).tolist())


@st.composite
def masks(draw: st.DrawFn, space: Any) -> Any:
    """A mask in the form in which Gymnasium samples by it."""
    flags = lambda n: np.array(draw(st.lists(st.integers(0, 1), min_size=n, max_size=n).filter(any)), np.int8)  # noqa: E731
    if isinstance(space, spaces.Discrete):
        return flags(int(space.n))
    if isinstance(space, spaces.MultiDiscrete):
        return _by_axes([flags(int(n)) for n in space.nvec.ravel()], list(space.shape))
    if isinstance(space, spaces.MultiBinary):
        size = int(np.prod(space.shape))
        entries = draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
        return np.array(entries, np.int8).reshape(space.shape)
    if isinstance(space, spaces.Text):
        length = draw(st.none() | st.integers(space.min_length, space.max_length))
        return length, flags(len(space.character_list))
    if isinstance(space, spaces.Dict):
        return {name: draw(masks(part)) for name, part in space.spaces.items()}
    if isinstance(space, (spaces.Tuple, spaces.OneOf)):
        return tuple(draw(masks(part)) for part in space.spaces)
    return None


def _by_axes(flags: list, shape: list[int]) -> Any:
    if len(shape) == 1:
        return tuple(flags)
    step = len(flags) // shape[0]
    return tuple(_by_axes(flags[i * step : (i + 1) * step], shape[1:]) for i in range(shape[0]))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(space=CHOSEN, data=st.data())
def test_a_mask_allows_what_gymnasium_samples_by_it(space: spaces.Space, data: st.DataObject) -> None:
    acts = acted(space)
    sizes = distributions.num_choices(acts.space)
    assume(np.prod(sizes, dtype=float) < 300 and sum(sizes) > 1)
    mask = data.draw(masks(space))
    flags = np.ones(sum(sizes), bool) if mask is None else acts.flags(mask)
    starts = np.cumsum([0, *sizes[:-1]])
    allowed = {key(acts.action(row)) for row in every_row(acts) if flags[starts + np.atleast_1d(row)].all()}
    space.seed(0)
    sampled = {key(space.sample(mask=mask)) for _ in range(40)}
    assert sampled <= allowed
    if len(allowed) <= 4:
        assert {key(space.sample(mask=mask)) for _ in range(200)} | sampled == allowed
    assert np.array_equal(acts.flags(flags.astype(np.int8)), flags)  # side by side


@pytest.mark.parametrize(
    ("space", "mask", "allowed"),
    [
        (spaces.MultiDiscrete([2, 3]), [1, 0, 0, 1, 0], {(0, 1)}),
        (spaces.MultiDiscrete([2, 2], start=[5, 5]), [[1, 0], [0, 1]], {(5, 6)}),
        (spaces.MultiDiscrete([[2], [2]]), (([1, 0],), ([0, 1],)), {((0,), (1,))}),
        (spaces.MultiBinary(2), [1, 2], {(1, 0), (1, 1)}),
        (spaces.MultiBinary(2), [1, 0, 0, 1], {(0, 1)}),
        (spaces.Tuple([spaces.Discrete(2), spaces.Discrete(2)]), (None, np.array([0, 1])), {(0, 1), (1, 1)}),
        (spaces.Dict(a=spaces.Discrete(2), b=spaces.Discrete(2)), {"b": [0, 1]}, {(0, 1), (1, 1)}),
        (spaces.OneOf([spaces.Discrete(2), spaces.Discrete(2)]), ([0, 0], [0, 1]), {(1, 1)}),
        (spaces.Box(4, 5, (2,), np.int8), [1, 0, 0, 1], {(4, 5)}),
        (spaces.Text(2, charset="ba"), (1, np.array([1, 0], np.int8)), {"b"}),
    ],
)
def test_masks_worked_out_by_hand(space: spaces.Space, mask: Any, allowed: set) -> None:
    acts = acted(space)
    flags, sizes = acts.flags(mask), distributions.num_choices(acts.space)
    starts = np.cumsum([0, *sizes[:-1]])
    played = [acts.action(row) for row in every_row(acts) if flags[starts + np.atleast_1d(row)].all()]
    assert {key(action) for action in played} == {key(np.array(one) if _is_table(space) else one) for one in allowed}


def _is_table(space: spaces.Space) -> bool:
    return isinstance(space, (spaces.MultiDiscrete, spaces.MultiBinary, spaces.Box))


@pytest.mark.parametrize(
    ("space", "mask"),
    [
        (spaces.Discrete(3), [1, 1]), (spaces.Discrete(3), [0, 0, 0]), (spaces.Discrete(3), [1, np.nan, 0]),
        (spaces.Discrete(3), "all"), (spaces.MultiDiscrete([2, 3]), [1, 1, 0, 0, 0]),
        (spaces.MultiDiscrete([2, 3]), ([1, 1, 1], [1, 1])), (spaces.MultiDiscrete([2, 3]), np.ones((2, 3))),
        (spaces.MultiBinary(2), [1, 3]), (spaces.Tuple([spaces.Discrete(2)] * 2), (np.ones(2),)),
        (spaces.Dict(a=spaces.Discrete(2)), {"b": [1, 1]}), (spaces.Text(2), (3, None)),
    ],
)  # fmt: skip
def test_masks_that_fit_no_action_are_refused(space: spaces.Space, mask: Any) -> None:
    with pytest.raises(ValueError, match=r"needs \d+ flags, not all 0"):
        acted(space).flags(mask)


@pytest.mark.parametrize(
    ("space", "words"),
    [
        (spaces.Tuple([spaces.Discrete(2), spaces.Box(0, 1, (1,))]), "mixes choices and real numbers.*MultiDiscrete"),
        (spaces.OneOf([spaces.Box(0, 1, (1,)), spaces.Box(0, 1, (1,))]), "no policy here puts that out"),
        (spaces.Box(0, 10_000, (1,), np.int64), "at most 256 an entry"),
        (spaces.Sequence(spaces.Discrete(2)), "wrap the environment"),
        (spaces.Dict({}), r"nothing to choose: Discrete\(1\)"),
    ],
)
def test_actions_that_no_policy_puts_out_are_refused_with_the_remedy(space: spaces.Space, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        acted(space)


def test_spaces_that_need_no_map_stay_the_same() -> None:
    for space in (spaces.Discrete(3), spaces.MultiDiscrete([2, 3]), spaces.Box(-1, 1, (2, 2))):
        assert observed(space).space is space and acted(space).space is space
    assert type(acted(spaces.Discrete(3)).action(np.int64(2))) is int
