"""The mutations that an absent-minded engineer makes.

A comparison, a condition, a number turned; an argument that guards a query left out; a statement left out (a lock, a
check, a move). Words are not mutated: that an argument is missing or of another type is the type checker's to see.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import libcst as cst
from mutmut.mutation import mutators

#: Calls whose arguments are the guards of a statement.
GUARDED = {"filter", "exclude", "get", "update", "Q"}
#: Conditions that mutmut itself leaves as they are: what compares or negates it turns already.
BARE = (cst.Name, cst.Attribute, cst.Call, cst.NamedExpr)


def guard_left_out(node: cst.Call) -> Iterator[cst.Call]:
    """`filter(pk=pk, state=OPEN)` without one of the two, and `filter(pk=pk)` without any."""
    name = node.func.attr if isinstance(node.func, cst.Attribute) else node.func
    if isinstance(name, cst.Name) and name.value in GUARDED:
        for place in range(len(node.args)):
            yield node.with_changes(args=[*node.args[:place], *node.args[place + 1 :]])


def condition_turned(node: cst.If | cst.CompIf) -> Iterator[cst.If | cst.CompIf]:
    """`if order.is_paid:` as `if not (order.is_paid):`."""
    if isinstance(node.test, BARE):
        inner = node.test.with_changes(lpar=[cst.LeftParen()], rpar=[cst.RightParen()])
        yield node.with_changes(test=cst.UnaryOperation(cst.Not(), inner))


def statement_left_out(node: cst.Expr | cst.Raise) -> Iterator[cst.Pass]:
    """A call for its effect, or an error that is raised; not a docstring."""
    if isinstance(node, cst.Raise) or isinstance(node.value, cst.Call):
        yield cst.Pass()


OPERATORS: Sequence[tuple[type, Callable[[Any], Iterable[cst.CSTNode]]]] = [
    (cst.BaseNumber, mutators.operator_number),
    (cst.Name, mutators.operator_name),
    (cst.AugAssign, mutators.operator_augmented_assignment),
    (cst.UnaryOperation, mutators.operator_remove_unary_ops),
    (cst.CSTNode, mutators.operator_keywords),
    (cst.CSTNode, mutators.operator_swap_op),
    (cst.IfExp, mutators.operator_if_exp),
    (cst.Match, mutators.operator_match),
    (cst.Call, guard_left_out),
    (cst.If, condition_turned),
    (cst.CompIf, condition_turned),
    (cst.Expr, statement_left_out),
    (cst.Raise, statement_left_out),
]
