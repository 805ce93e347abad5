"""Which objects of a Lewis game are held out of training: a rule and a seed decide, the same in every process."""

import numpy as np
import torch
from jaxtyping import Bool, Int
from torch import Tensor

__all__ = ["RULES", "held_out_objects"]

MAX_SEED = 2**32 - 1
DEFAULT_SHARE = 0.2


def held_out_objects(
    attributes: Int[Tensor, "M Z"], *, num_values: int, rule: str, share: float | None, seed: int
) -> Bool[Tensor, " M"]:
    """The objects that are held out, of the attributes of all: those of `split="test"`; the others are "train".

    Rules: "combinations", a random share of all, of which every single value stays in training; "values", objects with
    a value that training never shows, one value of each attribute; "latin", objects whose attributes add up to the same
    number modulo `num_values`, in which each value is as frequent as any other. Raises ValueError where a rule does
    not apply.
    """
    if not 0 <= seed <= MAX_SEED:
        raise ValueError(f"objects_seed={seed}: must be from 0 to {MAX_SEED}")
    if attributes.shape[1] < 2 and rule != "values":
        raise ValueError(
            f"held_out={rule!r}: with one attribute an unseen combination is an unseen value; take 'values', or more "
            "attributes"
        )
    if rule != "combinations" and share is not None:
        raise ValueError(
            f"held_out_share={share}: belongs to held_out='combinations'; {rule!r} fixes how many; leave it out"
        )
    if rule == "combinations":
        return _combinations(attributes, share=DEFAULT_SHARE if share is None else share, seed=seed)
    return {"values": _values, "latin": _latin}[rule](attributes, num_values=num_values, seed=seed)


def _combinations(attributes: Int[Tensor, "M Z"], *, share: float, seed: int) -> Bool[Tensor, " M"]:
    """A random share of the objects, passing over those that would take the last of a value out of training."""
    if not 0 < share < 1:
        raise ValueError(f"held_out_share={share}: must be between 0 and 1")
    table = attributes.numpy()
    num_objects, num_attributes = table.shape
    left = np.stack([np.bincount(table[:, z], minlength=table.max() + 1) for z in range(num_attributes)])
    places, chosen = np.arange(num_attributes), np.zeros(num_objects, dtype=bool)
    wanted = max(1, round(share * num_objects))
    for number in np.random.RandomState(seed).permutation(num_objects):
        if chosen.sum() < wanted and (left[places, table[number]] > 1).all():
            chosen[number] = True
            left[places, table[number]] -= 1
    if chosen.sum() < wanted:
        raise ValueError(
            f"held_out_share={share}: {wanted} of {num_objects} objects, but after {chosen.sum()} a value would be "
            "missing in training; take a smaller share, or more values"
        )
    return torch.from_numpy(chosen)


def _values(attributes: Int[Tensor, "M Z"], *, num_values: int, seed: int) -> Bool[Tensor, " M"]:
    """Objects with the value of any attribute that was drawn for it."""
    drawn = np.random.RandomState(seed).randint(num_values, size=attributes.shape[1])
    return (attributes == torch.from_numpy(drawn)).any(1)


def _latin(attributes: Int[Tensor, "M Z"], *, num_values: int, seed: int) -> Bool[Tensor, " M"]:
    """Objects whose attributes add up to the seed, modulo the number of values."""
    return attributes.sum(1) % num_values == seed % num_values


RULES = ("combinations", "values", "latin")
