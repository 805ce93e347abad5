"""Splits of the objects of Lewis games: disjoint, complete, repeatable, and with the gaps that they promise."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from heliograph.envs.lewis_objects import Objects, make_objects

EVERY = {"objects": "attributes", "attributes": 2, "values": 4, "held_out": None, "held_out_share": None}


def made(split: str = "all", **changes) -> Objects:
    return make_objects(**{**EVERY, "objects_seed": 0, "split": split, **changes})


def combinations_of(objects: Objects) -> list[list[int]]:
    return objects.attributes[objects.in_split].tolist()


@settings(deadline=None, max_examples=40)
@given(
    rule=st.sampled_from(["combinations", "values", "latin"]),
    attributes=st.integers(2, 3),
    values=st.integers(2, 5),
    seed=st.integers(0, 50),
)
def test_train_and_test_are_disjoint_and_make_up_all(rule: str, attributes: int, values: int, seed: int) -> None:
    how = {"held_out": rule, "attributes": attributes, "values": values, "objects_seed": seed}
    train, test = made("train", **how), made("test", **how)
    assert sorted([*train.in_split.tolist(), *test.in_split.tolist()]) == made(**how).in_split.tolist()
    assert len(train.in_split) and len(test.in_split)
    known = train.attributes[train.in_split]
    values_seen = [len(known[:, z].unique()) for z in range(attributes)]
    assert values_seen == [values - 1 if rule == "values" else values] * attributes
    make_objects.cache_clear()
    assert torch.equal(made("test", **how).in_split, test.in_split)


def test_held_out_combinations_are_these() -> None:
    assert combinations_of(made("test")) == [[0, 1], [1, 2], [2, 0]]
    assert combinations_of(made("test", objects_seed=1)) != combinations_of(made("test"))
    assert combinations_of(made("test", held_out="latin", objects_seed=3)) == [[0, 3], [1, 2], [2, 1], [3, 0]]
    assert len(made("test", held_out_share=0.5).in_split) == 8


def test_held_out_values_are_one_of_each_attribute() -> None:
    test = made("test", held_out="values").attributes[made("test", held_out="values").in_split]
    train = made("train", held_out="values")
    missing = [set(range(4)) - set(train.attributes[train.in_split][:, z].tolist()) for z in range(2)]
    assert len(test) == 7 and all(len(values) == 1 for values in missing)
    assert all(any({number} == missing[z] for z, number in enumerate(row)) for row in test.tolist())


def test_digits_are_split_by_image_or_by_digit() -> None:
    digits = {"objects": "digits", "attributes": None, "values": None}
    train, test = made("train", **digits), made("test", **digits)
    assert (len(train.in_split), len(test.in_split), train.num_objects) == (1442, 355, 1797)
    assert not set(train.in_split.tolist()) & set(test.in_split.tolist())
    assert test.attributes[test.in_split].unique().tolist() == list(range(10))
    unseen = made("test", held_out="values", **digits)
    assert len(unseen.attributes[unseen.in_split].unique()) == 1


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"held_out_share": 0.9}, "held_out_share=0.9: 14 of 16 objects, but after .* a value would be missing"),
        ({"held_out_share": 1.5}, "held_out_share=1.5: must be between 0 and 1"),
        ({"held_out_share": 0.2, "held_out": "latin"}, "held_out_share=0.2: belongs to held_out='combinations'"),
        ({"held_out": "latin", "attributes": 1}, "held_out='latin': with one attribute"),
        ({"held_out": "half"}, "held_out='half': must be 'combinations', 'values' or 'latin'"),
        ({"objects_seed": -1}, "objects_seed=-1: must be from 0"),
        ({"objects": "digits"}, "attributes=2: objects='digits' have 1"),
        ({"objects": "shapes", "values": 7}, "at most 6 of each"),
        ({"objects": "symbols", "values": 101}, "10000 with objects='symbols'"),
        ({"attributes": 9, "values": 4}, r"4\^9 objects; at most 100000"),
        ({"values": 1}, "values=1: needs at least 2"),
        ({"attributes": 0}, "attributes=0: must be a whole number of at least 1"),
        ({"objects": "words"}, "objects='words': must be 'attributes'"),
    ],
)
def test_what_does_not_apply_is_refused_by_name(changes: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        made("train", **changes)
