"""Which calls have the shapes in their signatures checked: all would take half of the time of the tests.

A shape that is wrong is wrong in the first calls of a test or for long, so that those and one in many are enough.
Functions inside of others are left alone: jaxtyping guards them anew in every call of the outer one, for milliseconds.
"""

import ast
import collections
import sys
import types

import jaxtyping
from jaxtyping._import_hook import JaxtypingTransformer

FIRST_CALLS, ONE_IN = 3, 20


class SomeCalls(type(jaxtyping.config)):
    """Settings of jaxtyping by which it checks some calls of each function, or with `none` no call at all."""

    @property
    def jaxtyping_disable(self) -> bool:
        """Read by jaxtyping in every call of a function that it guards, `fn`."""
        if self.none:
            return True
        code = sys._getframe(1).f_locals["fn"].__code__
        self.calls[code] += 1
        return self.calls[code] > FIRST_CALLS and self.calls[code] % ONE_IN != 0


class OuterFunctions(JaxtypingTransformer):
    """Guards functions that stand in no other."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.FunctionDef:
        """Leave what stands in a function as it is."""
        inside = any(isinstance(parent, ast.FunctionDef) for parent in self._parents)
        return node if inside else super().visit_FunctionDef(node)


sys.modules[JaxtypingTransformer.__module__].JaxtypingTransformer = OuterFunctions
checked = jaxtyping.config
checked.__class__ = SomeCalls
checked.none = False
checked.calls = collections.Counter[types.CodeType]()
