"""The loss of a minibatch and its gradients as one graph, compiled by torch: `compile=True` of PPO.

Everything from the copies' numbers to the gradients is traced once, forward and backward, and handed to `torch.compile`
as a whole. What is Python in it (which policies take part in which steps, which entropies count, what is trained) is
decided before, and a batch that differs in that has a graph of its own.
"""

import contextlib
import dataclasses
import os
import time
import traceback
import warnings
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.stateless import _reparametrize_module

from heliograph.functional import nothing_read
from heliograph.isolation import isolated
from heliograph.rollouts.rollout import FIELDS, Rollout
from heliograph.team.participation import Participation
from heliograph.types import held, map_tensors, tensors_of

__all__ = ["NOT_COMPILED", "CompileError", "Computed", "Found", "LossCompiler", "check_compiler"]

MOST_GRAPHS = 8
"""Batches of other shapes than the first so many are learnt from without a compiled graph."""
NOT_COMPILED = (
    "only PPO's loss is compiled; here a rollout is learnt from once, by what was computed while it was sampled; leave "
    "it out, or use ppo"
)
"""Why A2C and Q-learning refuse `compile`."""
Terms = dict[str, Tensor]
Found = tuple[Terms, dict[Any, Tensor | None]]
"""Terms of the loss, and the gradient of each weight."""
Computed = Callable[[Tensor], Found]
"""Both, of those copies of a batch."""
AXES: dict[str, int | None] = {"static_edges": None, "initial": 0}
"""The axis of the copies in those fields of a rollout in which it is not the second."""


class CompileError(RuntimeError):
    """An update cannot be compiled: no compiler is found, or the graph would depend on numbers."""


def check_compiler() -> None:
    """Raise `CompileError` where torch finds no C++ compiler."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch._inductor import cpp_builder

    try:
        cpp_builder.get_cpp_compiler()
    except Exception as error:
        raise CompileError(
            "compile=True: torch finds no C++ compiler; install one (such as the package g++), name it by the "
            "environment variable CXX, or use compile=False"
        ) from error


def compiled_by_torch(traced: torch.fx.GraphModule, example: list[Tensor]) -> Callable[..., list[Any]]:
    """Compile a graph of tensors; the torch of its compiler warns of itself when it is imported."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from torch._inductor.compile_fx import compile_fx

        return compile_fx(traced, example)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GraphInputs:
    """All that a graph takes: weights, buffers, coefficients, the copies of a batch, and what was prepared for them."""

    weights: dict[str, Tensor]
    buffers: dict[str, Tensor]
    coefficients: dict[str, Tensor]
    rollout: Rollout
    prepared: Any

    def leaves(self) -> list[tuple[Tensor, int | None]]:
        """All tensors, and the axis along which copies are taken from them; None where they are for all copies."""
        shared = tensors_of((self.weights, self.buffers, self.coefficients))
        found: list[tuple[Tensor, int | None]] = [(leaf, None) for leaf in shared]
        for name in FIELDS:
            axis = AXES.get(name, 1)
            found += [(leaf, axis) for leaf in tensors_of(held(self.rollout, name))]
        return found + [(leaf, 1) for leaf in tensors_of(self.prepared)]

    def filled(self, leaves: Iterator[Tensor]) -> "GraphInputs":
        """The same structures with other tensors."""
        return map_tensors(lambda _: next(leaves), self)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ChosenCopies:
    """Everything that was prepared for copies that have been taken already."""

    prepared: Any

    def select(self, copies: Tensor) -> Any:
        """All of it."""
        return self.prepared


@dataclasses.dataclass(frozen=True, kw_only=True)
class Graph:
    """A compiled loss: the numbers of the leaves that it reads, and the names of the terms that come first."""

    run: Callable[[list[Tensor]], list[Any]]
    reads: list[int]
    names: list[str]


class LossCompiler:
    """Compiles the loss of a learner's minibatches; `modules` hold all of its buffers and its `weights`.

    `loss(rollout, prepared, presence, coefficients)` are the terms of the copies in a rollout. `seconds` is what
    tracing and compiling took so far.
    """

    def __init__(self, modules: list[nn.Module], loss: Callable[..., Terms], *, weights: Mapping[Any, Tensor]):
        self._modules, self._loss = nn.ModuleList(modules), loss
        key_of = {id(weight): key for key, weight in weights.items()}
        self._keys = [key_of.get(id(weight), name) for name, weight in self._modules.named_parameters()]
        self._graphs: dict[Any, Graph] = {}
        self.seconds = 0.0

    def of_batch(
        self, rollout: Rollout, prepared: Any, *, presence: Mapping[str, Participation], coefficients: dict[str, float]
    ) -> Computed | None:
        """Return what computes the loss of some copies of this batch; None where there are too many graphs already."""
        inputs = GraphInputs(
            weights=dict(self._modules.named_parameters()),
            buffers=dict(self._modules.named_buffers()),
            coefficients={name: torch.tensor(value) for name, value in coefficients.items()},
            rollout=rollout,
            prepared=prepared,
        )
        leaves = inputs.leaves()
        counting = tuple(name for name, value in coefficients.items() if value)
        shapes = tuple((leaf.shape, leaf.dtype, leaf.requires_grad) for leaf, _ in leaves)
        kind = (shapes, tuple(presence.items()), counting, tuple(n for n in FIELDS if held(rollout, n) is None))

        def computed(copies: Tensor) -> Found:
            key = (kind, len(copies))
            if key not in self._graphs:
                self._graphs[key] = self._compiled(inputs, copies, presence)
            graph = self._graphs[key]
            with torch.no_grad():
                found = graph.run([_taken(*leaves[number], copies) for number in graph.reads])
            gradients = dict(zip(self._keys, _apart(found[len(graph.names) :]), strict=True))
            return dict(zip(graph.names, found, strict=False)), gradients

        known = {of_kind for of_kind, _ in self._graphs}
        return computed if kind in known or len(known) < MOST_GRAPHS else None

    def _compiled(self, inputs: GraphInputs, copies: Tensor, presence: Mapping[str, Participation]) -> Graph:
        from torch.fx.experimental.proxy_tensor import make_fx

        began, names = time.perf_counter(), list[str]()

        def whole(leaves: list[Tensor]) -> list[Tensor | None]:
            given = inputs.filled(iter(leaves))
            weights = given.weights
            with _reparametrize_module(self._modules, {**weights, **given.buffers}):
                terms = self._loss(given.rollout, ChosenCopies(prepared=given.prepared), presence, given.coefficients)
                trained = [weight for weight in weights.values() if weight.requires_grad]
                found = iter(torch.autograd.grad(terms["total_loss"], trained, allow_unused=True))
            names[:] = list(terms)
            gradients = [next(found) if weight.requires_grad else None for weight in weights.values()]
            return [*(term.detach() for term in terms.values()), *gradients]

        example = [_taken(leaf, axis, copies, detached=False) for leaf, axis in inputs.leaves()]
        with _explained(), nothing_read(), isolated("compiling the loss"), torch.enable_grad():
            traced = make_fx(whole, tracing_mode="fake", _allow_non_fake_inputs=True)(example)
            reads = _without_unread(traced)
            with torch.no_grad():
                run = compiled_by_torch(traced, [example[number].detach() for number in reads])
        self.seconds += time.perf_counter() - began
        return Graph(run=lambda found: run(*found), reads=reads, names=names)


def _apart(gradients: list[Tensor | None]) -> list[Tensor | None]:
    """Gradients in memory of their own: equal ones (of an LSTM's two biases) may be one, and are clipped in place."""
    seen, found = set[int](), list[Tensor | None]()
    for gradient in gradients:
        shared = gradient is not None and gradient.data_ptr() in seen
        found.append(gradient.clone() if gradient is not None and shared else gradient)
        if gradient is not None:
            seen.add(gradient.data_ptr())
    return found


def _taken(leaf: Tensor, axis: int | None, copies: Tensor, *, detached: bool = True) -> Tensor:
    if axis is not None:
        return leaf.index_select(axis, copies)
    return leaf.detach() if detached else leaf


def _without_unread(traced: torch.fx.GraphModule) -> list[int]:
    """Leave out of a graph what it computes for nothing and the inputs that it does not read; those that are left."""
    traced.graph.eliminate_dead_code()
    inputs, reads = [node for node in traced.graph.nodes if node.op == "placeholder"], []
    for number, node in enumerate(inputs):
        if node.users:
            reads.append(number)
        else:
            traced.graph.erase_node(node)
    traced.graph.set_codegen(torch.fx.graph.CodeGen())
    traced.recompile()
    return reads


@contextlib.contextmanager
def _explained() -> Iterator[None]:
    """Say of what torch cannot trace or compile where it is, and what helps."""
    try:
        yield
    except CompileError:
        raise
    except Exception as error:
        place = next((f for f in reversed(traceback.extract_tb(error.__traceback__)) if _is_ours(f.filename)), None)
        where = "" if place is None else f" at {place.filename}:{place.lineno} ({place.line})"
        raise CompileError(
            f"compile=True: the loss of a minibatch is not one graph{where}: {type(error).__name__}: "
            f"{str(error).strip().splitlines()[0] if str(error).strip() else ''}. What a model, a channel or a loss "
            "computes must not depend on numbers that Python reads (bool(), if, float(), tolist() of a tensor): use "
            "torch.where there, or compile=False"
        ) from error


def _is_ours(filename: str) -> bool:
    return f"{os.sep}torch{os.sep}" not in filename and filename != __file__
