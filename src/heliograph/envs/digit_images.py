"""Pictures of handwritten digits: those that come with scikit-learn, or a folder with MNIST's own files."""

import dataclasses
import functools
import gzip
import io
import math
import pathlib
import struct
import zlib

import numpy as np
import torch
from jaxtyping import Int, UInt8
from torch import Tensor

__all__ = ["DigitFileError", "DigitImages", "load_digit_images", "read_idx"]

NUM_DIGITS = 10
SPLITS = ("train", "test")
MNIST_PREFIX = {"train": "train", "test": "t10k"}
TEST_SHARE = 5
"""Of scikit-learn's images of each digit, every fifth is a test image."""
WHITE_OF_BUNDLED = 16
MAX_BYTES = 200_000_000
MAX_SIDE = 256


class DigitFileError(ValueError):
    """A file of digits that is missing, damaged, or holds something else."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class DigitImages:
    """Grey images (0 black, 255 white) in the order of their digits: `count[d]` of digit d from `first[d]` on."""

    pixels: UInt8[Tensor, "M h w"]
    first: Int[Tensor, " 10"]
    count: Int[Tensor, " 10"]

    def to(self, device: torch.device | str) -> "DigitImages":
        """The same on a device."""
        return DigitImages(pixels=self.pixels.to(device), first=self.first.to(device), count=self.count.to(device))

    def draw(self, digit: Int[Tensor, "*batch"], *, generator: torch.Generator) -> Int[Tensor, "*batch"]:
        """The index of an image of each digit, all of its images being equally likely."""
        chance = torch.rand(digit.shape, generator=generator, device=digit.device)
        count = self.count[digit]
        return self.first[digit] + torch.minimum((chance * count).long(), count - 1)


@functools.lru_cache(maxsize=4)
def load_digit_images(*, split: str, mnist_dir: str | None = None) -> DigitImages:
    """The images of a split, "train" or "test": scikit-learn's 8x8 ones, or MNIST's from a folder.

    scikit-learn's 1,797 images have no split of their own: of each digit every fifth, in their order, is a test image
    (355 of them). The same people wrote both parts; MNIST's parts are its own files, by different people. Raises
    ValueError for another split, `DigitFileError` for a file that is missing or not what it should be.
    """
    if split not in SPLITS:
        raise ValueError(f"split={split!r}: must be 'train' or 'test'")
    if mnist_dir is None:
        return _bundled(split)
    try:
        return _mnist(pathlib.Path(mnist_dir), split)
    except DigitFileError as error:
        raise DigitFileError(f"mnist_dir={mnist_dir!r}: {error}") from error


def read_idx(path: pathlib.Path, *, axes: int) -> UInt8[np.ndarray, "..."]:
    """The array of bytes in a file of MNIST's idx format, plain or gzipped (by its name).

    Reads no further than the header promises, and 200 MB at most. Raises `DigitFileError`.
    """
    try:
        with _opened(path) as file:
            return _array(file, axes=axes)
    except DigitFileError as error:
        raise DigitFileError(f"{path} {error}") from None
    except (OSError, EOFError, zlib.error) as error:
        raise DigitFileError(f"{path} cannot be read ({error}): copy or download it again") from error


def _opened(path: pathlib.Path) -> io.BufferedIOBase:
    return gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb")


def _array(file: io.BufferedIOBase, *, axes: int) -> np.ndarray:
    header = file.read(4 + 4 * axes)
    magic = bytes([0, 0, 8, axes])
    if len(header) < 4 + 4 * axes or header[:4] != magic:
        raise DigitFileError(f"begins with {header[:4].hex()!r}: an idx file of bytes begins with {magic.hex()!r}")
    shape = struct.unpack(f">{axes}I", header[4:])
    size = math.prod(shape)
    if size > MAX_BYTES:
        raise DigitFileError(f"promises {size} bytes, shape {list(shape)}: more than {MAX_BYTES} are refused")
    data = file.read(size + 1)
    if len(data) != size:
        found = "more" if len(data) > size else f"only {len(data)}"
        raise DigitFileError(f"promises {size} bytes, shape {list(shape)}, and holds {found}: it is damaged")
    return np.frombuffer(data, dtype=np.uint8).reshape(shape)


def _bundled(split: str) -> DigitImages:
    from sklearn.datasets import load_digits

    bundle = load_digits()
    labels = bundle.target.astype(np.int64)
    pixels = np.rint(bundle.images * (255 / WHITE_OF_BUNDLED)).astype(np.uint8)
    is_test = np.zeros(len(labels), dtype=bool)
    for digit in range(NUM_DIGITS):
        is_test[np.flatnonzero(labels == digit)[TEST_SHARE - 1 :: TEST_SHARE]] = True
    chosen = is_test if split == "test" else ~is_test
    return _sorted(pixels[chosen], labels[chosen])


def _mnist(folder: pathlib.Path, split: str) -> DigitImages:
    prefix = MNIST_PREFIX[split]
    images, names = (_found(folder, f"{prefix}-{part}-ubyte") for part in ("images-idx3", "labels-idx1"))
    pixels, labels = read_idx(images, axes=3), read_idx(names, axes=1)
    num_images, *sides = pixels.shape
    if min(sides) < 1 or max(sides) > MAX_SIDE:
        raise DigitFileError(f"{images} holds images of {sides[0]} x {sides[1]}: sides must be 1 to {MAX_SIDE}")
    if len(labels) != num_images:
        raise DigitFileError(f"{images} holds {num_images} images and {names} {len(labels)} labels: must be as many")
    missing = sorted(set(range(NUM_DIGITS)) - set(labels.tolist()))
    if missing or labels.max() >= NUM_DIGITS:
        found = f"lacks the digits {missing}" if missing else f"has a label {labels.max()}"
        raise DigitFileError(f"{names} {found}: labels must be the digits 0 to 9, each at least once")
    return _sorted(pixels, labels.astype(np.int64))


def _found(folder: pathlib.Path, name: str) -> pathlib.Path:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.is_file():
            return path
    if not folder.is_dir():
        raise DigitFileError(f"{folder.absolute()} is no folder: name the one that holds {name} (or {name}.gz)")
    raise DigitFileError(f"{folder.absolute()} has no file {name} or {name}.gz: it must hold MNIST's four files")


def _sorted(pixels: np.ndarray, labels: np.ndarray) -> DigitImages:
    count = np.bincount(labels, minlength=NUM_DIGITS)
    order = np.argsort(labels, kind="stable")
    return DigitImages(
        pixels=torch.from_numpy(pixels[order]),
        first=torch.from_numpy(np.cumsum(count) - count),
        count=torch.from_numpy(count),
    )
