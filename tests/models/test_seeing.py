"""How networks take in observations: images wherever they stand, scaled by their bounds, and numbers of any shape."""

import numpy as np
import pytest
import torch
from gymnasium import spaces

from heliograph.envs.base import flat_observation, pixel_scale
from heliograph.models.blocks import ImageTorso, Torso, leaf_spaces, leaf_tensors
from heliograph.team.policy import ObservationNormaliser

IMAGE = spaces.Box(0, 255, (8, 8, 1), np.uint8)


@pytest.mark.parametrize(
    ("space", "scale"),
    [
        (IMAGE, 255.0), (spaces.Box(0, 1, (8, 8, 1), np.uint8), 1.0), (spaces.Box(0.0, 255.0, (8, 8, 1)), 255.0),
        (spaces.Box(0.0, 1.0, (8, 8, 1)), 1.0), (spaces.Box(-1.0, 1.0, (8, 8, 1)), 1.0),
        (spaces.Box(-np.inf, np.inf, (8, 8, 1)), 1.0), (spaces.Box(0, 2**16 - 1, (8, 8, 1), np.uint16), 65535.0),
        (spaces.Box(0, 2**62, (8, 8, 1), np.int64), 1.0), (spaces.Box(0.0, 0.0, (8, 8, 1)), 1.0),
    ],
)  # fmt: skip
def test_images_are_scaled_by_their_bounds(space: spaces.Box, scale: float) -> None:
    torch.manual_seed(0)
    torso = ImageTorso(space, 4)
    plain = ImageTorso(spaces.Box(0.0, 1.0, (8, 8, 1)), 4)
    plain.load_state_dict(torso.state_dict())
    image = torch.rand(3, 8, 8, 1)
    assert pixel_scale(space) == scale
    assert torch.allclose(torso(image * scale), plain(image), atol=1e-6)


def test_bytes_that_are_no_image_are_scaled_too() -> None:
    memory = torch.tensor([[0, 51, 255]], dtype=torch.uint8)
    assert flat_observation(spaces.Box(0, 255, (3,), np.uint8), memory).tolist() == [[0.0, pytest.approx(0.2), 1.0]]
    assert flat_observation(spaces.Box(0, 255, (3,), np.int64), memory).tolist() == [[0.0, 51.0, 255.0]]
    image = torch.full((2, 1, 1, 3), 51.0)  # as a critic that sees all observations side by side has it
    assert flat_observation(spaces.Box(0.0, 255.0, (1, 1, 3)), image).allclose(torch.tensor(0.2))


def test_images_are_convolved_in_nested_observations() -> None:
    space = spaces.Dict(eyes=spaces.Dict(left=IMAGE, depth=spaces.Box(0.0, 1.0, (2,))), arm=spaces.Discrete(3))
    torso = Torso(space, 6)
    assert list(torso.images) == ["image_eyes/left"] and torso.flat.in_features == 2 + 3
    eyes = {"left": torch.zeros(5, 8, 8, 1, dtype=torch.uint8), "depth": torch.rand(5, 2)}
    seen = {"eyes": eyes, "arm": torch.zeros(5, dtype=torch.long)}
    assert set(leaf_tensors(seen)) == set(leaf_spaces(space)) == {"eyes/left", "eyes/depth", "arm"}
    dark = torso(seen)
    eyes["left"] = torch.full((5, 8, 8, 1), 255, dtype=torch.uint8)
    assert dark.shape == (5, 6) and not torch.allclose(dark, torso(seen))


@pytest.mark.parametrize("shape", [(), (3,), (2, 3)])
@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_numbers_of_any_shape_are_normalised(shape: tuple[int, ...], nested: bool, dtype: type) -> None:
    box = spaces.Box(0, 1, shape, dtype)
    space = spaces.Dict(a=spaces.Dict(b=box, image=IMAGE)) if nested else box
    normaliser = ObservationNormaliser(space)
    leaf = torch.randint(2, (50, 4, *shape)).to(getattr(torch, np.dtype(dtype).name))
    image = torch.full((50, 4, 8, 8, 1), 9, dtype=torch.uint8)
    seen = {"a": {"b": leaf, "image": image}} if nested else leaf
    (key,) = normaliser.axes
    flat = normaliser.flat(key, leaf)
    assert key == ("a/b" if nested else "") and flat.shape == (50, 4, max(1, int(np.prod(shape))))
    flat = flat.flatten(0, 1)
    normaliser.merge({key: (flat.mean(0), flat.var(0, unbiased=False), torch.tensor(200.0))})
    shown = normaliser(seen)
    got = shown["a"]["b"] if nested else shown
    assert got.shape == leaf.shape and abs(float(got.mean())) < 1e-5 and abs(float(got.std()) - 1) < 0.05
    assert not nested or shown["a"]["image"].equal(image)
