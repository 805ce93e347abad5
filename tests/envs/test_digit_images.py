"""Images of digits: a split that holds, normalised pixels, MNIST's files, and every way in which they are damaged."""

import gzip
import os
import pathlib
import struct
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch

from heliograph.envs import digit_images
from heliograph.envs.colour_digit import ColourDigit
from heliograph.envs.digit_images import DigitFileError, DigitImages, load_digit_images, read_idx
from heliograph.envs.multistep_digits import MultistepDigits

LABELS = [3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8, 9, 7, 9, 0]


def idx(array: np.ndarray) -> bytes:
    return struct.pack(f">4B{array.ndim}I", 0, 0, 8, array.ndim, *array.shape) + array.astype(np.uint8).tobytes()


def write(path: pathlib.Path, content: bytes) -> None:
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)


def pictures(labels: list[int]) -> np.ndarray:
    """2 x 3 images whose first pixel is ten times the label, and whose second counts them."""
    images = np.zeros((len(labels), 2, 3), dtype=np.uint8)
    images[:, 0, 0], images[:, 0, 1] = [10 * label for label in labels], range(len(labels))
    return images


@pytest.fixture(params=["", ".gz"])
def folder(request: pytest.FixtureRequest, tmp_path: pathlib.Path) -> pathlib.Path:
    for prefix, labels in (("train", LABELS), ("t10k", [*LABELS[::-1], 7])):
        write(tmp_path / f"{prefix}-images-idx3-ubyte{request.param}", idx(pictures(labels)))
        write(tmp_path / f"{prefix}-labels-idx1-ubyte{request.param}", idx(np.array(labels)))
    return tmp_path


def rows(images: DigitImages) -> set[tuple[int, ...]]:
    return {tuple(row) for row in images.pixels.flatten(1).tolist()}


def test_the_bundled_images_are_split_once_and_for_all() -> None:
    train, test = (load_digit_images(split=split) for split in ("train", "test"))
    assert (len(train.pixels), len(test.pixels)) == (1442, 355)
    assert int(train.count.sum()) == 1442
    assert not rows(train) & rows(test)
    assert test.count.tolist() == [35, 36, 35, 36, 36, 36, 36, 35, 34, 36]
    assert test.count.min() >= 34
    load_digit_images.cache_clear()
    assert torch.equal(load_digit_images(split="test").pixels, test.pixels)


def test_the_bundled_images_are_those_of_scikit_learn_with_their_digits() -> None:
    from sklearn.datasets import load_digits

    bundle = load_digits()
    known = {tuple(row): int(digit) for row, digit in zip(bundle.data.astype(int).tolist(), bundle.target, strict=True)}
    for split in ("train", "test"):
        images = load_digit_images(split=split)
        sixteenths = (images.pixels.float() * 16 / 255).round().int().flatten(1).tolist()
        digits = torch.arange(10).repeat_interleave(images.count).tolist()
        assert [known[tuple(row)] for row in sixteenths] == digits
        assert images.pixels.max() == 255 and images.pixels.min() == 0


@pytest.mark.parametrize("split", ["train", "test"])
def test_games_of_a_split_show_its_images_only_all_of_them_and_as_often(split: str) -> None:
    env = MultistepDigits(num_envs=20_000, split=split)
    step = env.reset()
    images = load_digit_images(split=split)
    shown = (step.observations["player"] * 255).round().int().flatten(0, 1)
    found, times = shown.unique(dim=0, return_counts=True)
    assert {tuple(row) for row in found.tolist()} == rows(images)
    digits = step.meaning[..., 0].flatten().bincount()
    assert (digits / 40_000 - 0.1).abs().max() < 0.008
    expected = 4000 / images.count.float()
    assert times.max() < 2 * expected.max()


def test_pixels_run_from_0_to_1() -> None:
    for env in (ColourDigit(num_envs=500), MultistepDigits(num_envs=500)):
        seen = env.reset().observations["player"]
        assert seen.dtype == torch.float32
        assert seen.min() == 0 and seen.max() == 1


def test_a_draw_is_uniform_among_the_images_of_a_digit() -> None:
    images = DigitImages(
        pixels=torch.zeros(12, 1, 1, dtype=torch.uint8),
        first=torch.tensor([0, 1, 4, 5, 6, 7, 8, 9, 10, 11]),
        count=torch.tensor([1, 3, 1, 1, 1, 1, 1, 1, 1, 1]),
    )
    generator = torch.Generator().manual_seed(0)
    drawn = images.draw(torch.ones(9000, dtype=torch.long), generator=generator)
    assert drawn.unique().tolist() == [1, 2, 3]
    assert (drawn.bincount()[1:] - 3000).abs().max() < 200
    assert images.draw(torch.tensor([0, 9]), generator=generator).tolist() == [0, 11]


def test_the_same_seed_shows_the_same_images_and_another_others() -> None:
    def played(seed: int) -> list[torch.Tensor]:
        env = ColourDigit(num_envs=16, seed=seed)
        steps = [env.reset()] + [env.step({"player": torch.zeros(16, 2, dtype=torch.long)}) for _ in range(4)]
        return [step.observations["player"] for step in steps]

    one, again, other = played(5), played(5), played(6)
    assert all(torch.equal(a, b) for a, b in zip(one, again, strict=True))
    assert not torch.equal(one[0], other[0])
    assert not torch.equal(one[0], one[2])


def test_the_images_are_no_part_of_the_saved_state() -> None:
    env = ColourDigit(num_envs=1)
    env.reset()
    assert sum(tensor.numel() for tensor in env.get_state()["tensors"].values()) < 20


# ---- MNIST's own files -----------------------------------------------------------------------------------------------


def test_a_folder_with_the_files_of_mnist_takes_the_place_of_the_bundled_images(folder: pathlib.Path) -> None:
    for split, labels in (("train", LABELS), ("test", [*LABELS[::-1], 7])):
        env = ColourDigit(num_envs=400, split=split, mnist_dir=str(folder))
        step = env.reset()
        digit, colour = step.meaning.unbind(-1)
        seen = (step.observations["player"] * 255).round().long().unflatten(-1, (2, 6)).sum(2)
        assert torch.equal(seen[..., 0], 10 * digit)
        assert torch.equal(torch.tensor(labels)[seen[..., 1]], digit)
        assert set(seen[..., 1].flatten().tolist()) == set(range(len(labels)))
        assert set(colour.flatten().tolist()) == {0, 1}


def test_plain_and_packed_files_read_alike(tmp_path: pathlib.Path) -> None:
    (tmp_path / "a-labels").write_bytes(idx(np.array([1, 2])))
    assert read_idx(tmp_path / "a-labels", axes=1).tolist() == [1, 2]
    write(tmp_path / "b.gz", idx(np.array([[1, 2], [3, 4]])))
    assert read_idx(tmp_path / "b.gz", axes=2).tolist() == [[1, 2], [3, 4]]


def cut(content: bytes) -> bytes:
    return content[:-1]


DAMAGE: dict[str, tuple[str, Callable[[bytes], bytes], str]] = {
    "empty": ("images", lambda content: b"", "begins with ''.*'00000803'"),
    "a text": ("images", lambda content: b"<html>not found</html>", "begins with '3c68746d'"),
    "labels for images": ("images", lambda content: idx(np.array(LABELS)), "begins with '00000801'"),
    "floats": ("labels", lambda content: b"\0\0\x0d\x01" + content[4:], "begins with '00000d01'"),
    "half a header": ("images", lambda content: content[:9], "begins with"),
    "cut": ("images", cut, r"promises 96 bytes, shape \[16, 2, 3\], and holds only 95: it is damaged"),
    "too long": ("labels", lambda content: content + b"\0", "holds more"),
    "endless": ("images", lambda content: content[:4] + b"\xff" * 12, "more than 200000000 are refused"),
    "no pixels": ("images", lambda content: idx(np.zeros((16, 0, 3))), "images of 0 x 3: sides must be 1 to 256"),
    "wide": ("images", lambda content: idx(np.zeros((16, 1, 300))), "sides must be 1 to 256"),
    "too few labels": ("labels", lambda content: idx(np.array(LABELS[1:])), "15 labels: must be as many"),
    "a digit missing": ("labels", lambda content: idx(np.minimum(LABELS, 8)), r"lacks the digits \[9\]"),
    "a letter": ("labels", lambda content: idx(np.array([11, *LABELS[1:]])), "has a label 11"),
}


@pytest.mark.parametrize("name", DAMAGE)
def test_a_damaged_file_is_named_with_its_damage(name: str, folder: pathlib.Path) -> None:
    part, damage, words = DAMAGE[name]
    (path,) = folder.glob(f"train-{part}-*")
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    write(path, damage(content))
    with pytest.raises(DigitFileError, match=f"(?s)mnist_dir='{folder}': .*{path.name}.*{words}"):
        ColourDigit(mnist_dir=str(folder))
    ColourDigit(mnist_dir=str(folder), split="test")


@pytest.mark.parametrize("damage", [cut, lambda packed: packed[:30], lambda packed: b"no gzip", lambda packed: b""])
def test_a_damaged_archive_is_refused(damage: Callable[[bytes], bytes], tmp_path: pathlib.Path) -> None:
    path = tmp_path / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(gzip.compress(idx(pictures(LABELS)))))
    with pytest.raises(DigitFileError, match=path.name):
        read_idx(path, axes=3)


def test_a_flipped_bit_in_an_archive_is_noticed(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "a.gz"
    packed = bytearray(gzip.compress(idx(pictures(LABELS)), compresslevel=0))
    packed[-12] ^= 1
    path.write_bytes(packed)
    with pytest.raises(DigitFileError, match=r"CRC.*copy or download it again"):
        read_idx(path, axes=3)


def test_an_archive_is_unpacked_no_further_than_its_header_says(tmp_path: pathlib.Path, monkeypatch) -> None:
    path = tmp_path / "bomb.gz"
    path.write_bytes(gzip.compress(idx(np.zeros(10)) + b"\0" * 50_000_000))
    read: list[int] = []
    original = gzip.GzipFile.read

    def counted(self: gzip.GzipFile, size: int = -1) -> bytes:
        read.append(size)
        return original(self, size)

    monkeypatch.setattr(gzip.GzipFile, "read", counted)
    with pytest.raises(DigitFileError, match="holds more"):
        read_idx(path, axes=1)
    assert read == [8, 11]


def test_a_missing_file_or_folder_is_named(folder: pathlib.Path) -> None:
    for path in folder.glob("t10k-labels*"):
        path.unlink()
    with pytest.raises(DigitFileError, match=r"no file t10k-labels-idx1-ubyte or t10k-labels-idx1-ubyte\.gz"):
        load_digit_images(split="test", mnist_dir=str(folder))
    with pytest.raises(DigitFileError, match="is no folder: name the one that holds train-images-idx3-ubyte"):
        load_digit_images(split="train", mnist_dir=str(folder / "elsewhere"))


def test_a_pipe_is_no_file(tmp_path: pathlib.Path) -> None:
    os.mkfifo(tmp_path / "train-images-idx3-ubyte")
    with pytest.raises(DigitFileError, match="no file train-images-idx3-ubyte"):
        load_digit_images(split="train", mnist_dir=str(tmp_path))


def test_what_cannot_be_read_says_so(tmp_path: pathlib.Path) -> None:
    with pytest.raises(DigitFileError, match="cannot be read"):
        read_idx(tmp_path, axes=1)


@pytest.mark.parametrize("folder", [""], indirect=True)
def test_scikit_learn_is_imported_only_where_its_images_are_needed(folder: pathlib.Path) -> None:
    code = (
        "import sys; from heliograph.envs.colour_digit import ColourDigit; "
        f"ColourDigit(mnist_dir={str(folder)!r}).reset(); print('sklearn' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    assert done.stdout.split() == ["False"]


def test_only_the_games_are_environments() -> None:
    assert {"digit_game", "digit_images"} <= {
        path.stem for path in pathlib.Path(digit_images.__file__).parent.iterdir()
    }
    from heliograph import registry

    assert not {"digit_game", "digit_images"} & set(registry.names("env"))
