"""Layouts move tensors between roles, policies and the team, and refuse what cannot be."""

import pytest
import torch
from gymnasium import spaces

from heliograph.registry import UnknownNameError
from heliograph.team.assignment import Layout, one_policy_per_role
from heliograph.types import Role


def role(name: str, count: int, *, size: int = 2, actions: int = 3) -> Role:
    return Role(
        name=name,
        agents=tuple(f"{name}_{i}" for i in range(count)),
        observation_space=spaces.Box(0, 1, (size,)),
        action_space=spaces.Discrete(actions),
    )


ROLES = (role("cat", 2), role("dog", 3))


def test_by_default_a_role_has_a_policy() -> None:
    layout = Layout(ROLES, one_policy_per_role(ROLES))
    assert layout.policies == ("cat", "dog") and layout.constant
    assert layout.slots("cat") == slice(0, 2) and layout.slots("dog") == slice(2, 5)
    assert layout.default_assignment().tolist() == [0, 0, 1, 1, 1]
    cats, dogs = torch.rand(4, 2, 6), torch.rand(4, 3, 6)
    assert torch.equal(layout.combine({"cat": cats, "dog": dogs}, lead=1), torch.cat([cats, dogs], 1))
    assert layout.by_role({"cat": cats, "dog": dogs}, lead=1)["dog"] is dogs
    assert layout.gather("dog", {"cat": cats, "dog": dogs}, lead=1) is dogs


@pytest.mark.parametrize("lead", [1, 2])
def test_policies_may_cut_across_roles(lead: int) -> None:
    seats = {"odd": ("cat_1", "dog_0", "dog_2"), "even": ("dog_1", "cat_0")}
    layout = Layout(ROLES, seats)
    assert layout.slots("odd") == [1, 2, 4] and layout.slots("even") == [0, 3]
    whole = torch.rand(*(7, 4)[:lead], 5, 2)
    by_role = dict(zip(("cat", "dog"), whole.split([2, 3], lead), strict=True))
    seen = {p: layout.gather(p, by_role, lead=lead) for p in layout.policies}
    assert torch.equal(seen["odd"], whole.index_select(lead, torch.tensor([1, 2, 4])))
    assert torch.equal(layout.combine(seen, lead=lead), whole)
    assert all(torch.equal(layout.by_role(seen, lead=lead)[r], by_role[r]) for r in by_role)


def test_trees_are_gathered_leaf_by_leaf() -> None:
    layout = Layout(ROLES, {"all": tuple(a for r in ROLES for a in r.agents)})
    trees = {"cat": {"x": torch.rand(3, 2, 1)}, "dog": {"x": torch.rand(3, 3, 1)}}
    assert layout.gather("all", trees, lead=1)["x"].shape == (3, 5, 1)


def test_an_assignment_chooses_among_candidates() -> None:
    layout = Layout(ROLES, {"a": ("cat_0", "cat_1", "dog_0"), "b": ("cat_0", "dog_1", "dog_2", "cat_1")})
    assert not layout.constant and layout.default_assignment().tolist() == [0, 0, 0, 1, 1]
    a, b = torch.rand(2, 3, requires_grad=True), torch.rand(2, 4)
    assignment = torch.tensor([[0, 1, 0, 1, 1], [1, 0, 0, 1, 1]])
    rows = [a[0, 0], b[0, 1], a[0, 2], b[0, 2], b[0, 3]], [b[1, 0], a[1, 1], a[1, 2], b[1, 2], b[1, 3]]
    expected = torch.stack([torch.stack(row) for row in rows])
    whole = layout.combine({"a": a, "b": b}, lead=1, assignment=assignment)
    assert torch.equal(whole, expected)
    by_role = layout.by_role({"a": a, "b": b}, lead=1, assignment=assignment)
    assert torch.equal(torch.cat([by_role["cat"], by_role["dog"]], 1), expected)
    whole.sum().backward()
    assert a.grad.tolist() == [[1, 0, 1], [0, 1, 1]]
    with pytest.raises(ValueError, match="who plays whom"):
        layout.combine({"a": a, "b": b}, lead=1)


@pytest.mark.parametrize(
    ("seats", "words"),
    [
        ({"a": ("cat_0", "cat_1")}, "'dog_0' has no policy"),
        ({"a": ("cat_0", "cat_1"), "b": ()}, "'b' serves no agent"),
        ({"a": ("cat_0", "cow_1")}, "did you mean"),
    ],
)
def test_impossible_layouts_are_refused(seats: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Layout(ROLES, seats)
    assert issubclass(UnknownNameError, ValueError)


def test_a_policy_serves_roles_of_equal_spaces_only() -> None:
    roles = (role("cat", 1), role("dog", 1, actions=4))
    with pytest.raises(ValueError, match=r"'all' serves roles 'cat' and 'dog', whose spaces differ.*Discrete\(4\)"):
        Layout(roles, {"all": ("cat_0", "dog_0")})
