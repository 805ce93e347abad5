"""Gymnasium spaces of every kind that an adapter takes, drawn by hypothesis."""

import numpy as np
from gymnasium import spaces
from hypothesis import strategies as st

FLOATS = (np.float16, np.float32, np.float64)
WHOLES = (np.int8, np.uint8, np.int16, np.int64, np.uint32)
SHAPES = st.lists(st.integers(1, 3), max_size=3).map(tuple)
NAMES = st.sampled_from(["a", "b", "c.d", "c/d", "c_d", "observation", "which"])

discrete = st.builds(lambda n, start: spaces.Discrete(n, start=start), st.integers(1, 4), st.integers(-3, 3))
bits = st.builds(spaces.MultiBinary, st.integers(1, 3) | st.lists(st.integers(1, 2), min_size=1, max_size=3))
text = st.builds(
    lambda least, more, letters: spaces.Text(least + more, min_length=least, charset=letters),
    st.integers(0, 2), st.integers(1, 2), st.sampled_from(["ab", "zyx", frozenset("éa ")]),
)  # fmt: skip


@st.composite
def tables(draw: st.DrawFn) -> spaces.MultiDiscrete:
    shape = draw(st.lists(st.integers(1, 2), min_size=1, max_size=3))
    sizes, starts = (draw(_entries(shape, least, 3)) for least in (1, -2))
    return spaces.MultiDiscrete(sizes, start=starts, dtype=draw(st.sampled_from([np.int64, np.int32])))


def _entries(shape: list[int], least: int, most: int) -> st.SearchStrategy[np.ndarray]:
    size = int(np.prod(shape))
    return st.lists(st.integers(least, most), min_size=size, max_size=size).map(
        lambda values: np.array(values).reshape(shape)
    )


@st.composite
def float_boxes(draw: st.DrawFn) -> spaces.Box:
    low, width = draw(st.sampled_from([-np.inf, -1.0, 0.0, 0.1, 100.0])), draw(st.sampled_from([0.1, 1.0, np.inf]))
    high = np.inf if np.isinf(low) else low + width
    return spaces.Box(low, high, draw(SHAPES), draw(st.sampled_from(FLOATS)))


@st.composite
def whole_boxes(draw: st.DrawFn) -> spaces.Box:
    if draw(st.booleans()):
        return spaces.Box(0, 1, draw(SHAPES), np.bool_)
    dtype = draw(st.sampled_from(WHOLES))
    low = draw(st.integers(0 if np.iinfo(dtype).min == 0 else -3, 3))
    return spaces.Box(low, low + draw(st.integers(0, 3)), draw(SHAPES), dtype)


images = st.sampled_from(
    [(9, 8), (8, 9, 3), (3, 9, 8), (1, 8, 8), (4, 9, 8), (9, 8, 2), (2, 9, 8), (4, 9, 8, 3), (2, 3, 9, 8)]
).map(lambda shape: spaces.Box(0, 255, shape, np.uint8))


def nested(leaves: st.SearchStrategy[spaces.Space], *, with_one_of: bool = True) -> st.SearchStrategy[spaces.Space]:
    def together(parts: st.SearchStrategy[spaces.Space]) -> st.SearchStrategy[spaces.Space]:
        several = st.lists(parts, min_size=1, max_size=3)
        found = several.map(lambda some: spaces.Tuple(some)) | st.dictionaries(
            NAMES, parts, min_size=1, max_size=3
        ).map(lambda some: spaces.Dict(some))
        return found | several.map(lambda some: spaces.OneOf(some)) if with_one_of else found

    return st.recursive(leaves, together, max_leaves=4)


choices = discrete | tables() | bits | text | whole_boxes()
SEEN = nested(choices | float_boxes() | images)
CHOSEN = nested(choices)
NUMBERS = nested(float_boxes(), with_one_of=False)
