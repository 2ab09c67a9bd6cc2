"""Template needs: the merge fields that a text cannot do without.

A field is not needed where the text says what stands in its place: within `if … is defined`, or
with `default(…)`.
"""

from collections.abc import Iterator

from jinja2 import nodes

from leadflood.domain.drafting.rules.template_language import parse_text

_Names = frozenset[str]
_NONE: _Names = frozenset()


def find_needed(source: str) -> set[str]:
    """Return the fields without which a text cannot be filled. Raises: RefusedTemplate."""
    return set(_needed(parse_text(source), _NONE))


def _needed(node: nodes.Node, defined: _Names) -> Iterator[str]:
    """Yield the names that a node uses where they may be undefined."""
    match node:
        case nodes.Name(name=name):
            yield from {name} - defined
        case nodes.Test(name="defined" | "undefined", node=nodes.Name()):
            pass
        case nodes.If():
            yield from _needed_by_branches(node, defined)
        case _:
            for child, within in _children(node, defined):
                yield from _needed(child, within)


def _children(node: nodes.Node, defined: _Names) -> Iterator[tuple[nodes.Node, _Names]]:
    """Yield the parts of a node, each with the names that are defined where it is looked at."""
    match node:
        case nodes.Filter(name="default", node=nodes.Name(), args=args):
            yield from ((arg, defined) for arg in args)
        case nodes.CondExpr(test=test, expr1=value, expr2=other):
            yield test, defined
            yield value, defined | _defined_if(test, holds=True)
            if other is not None:
                yield other, defined | _defined_if(test, holds=False)
        case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
            yield left, defined
            yield right, defined | _defined_if(left, holds=isinstance(node, nodes.And))
        case _:
            yield from ((child, defined) for child in node.iter_child_nodes())


def _needed_by_branches(node: nodes.If, defined: _Names) -> Iterator[str]:
    for branch in (node, *node.elif_):
        yield from _needed(branch.test, defined)
        within = defined | _defined_if(branch.test, holds=True)
        for child in branch.body:
            yield from _needed(child, within)
        defined |= _defined_if(branch.test, holds=False)
    for child in node.else_:
        yield from _needed(child, defined)


def _defined_if(test: nodes.Node, *, holds: bool) -> _Names:
    """Return the names that are certainly defined where a test holds, or does not."""
    match test:
        case nodes.Test(name="defined", node=nodes.Name(name=name)):
            return frozenset({name}) if holds else _NONE
        case nodes.Test(name="undefined", node=nodes.Name(name=name)):
            return _NONE if holds else frozenset({name})
        case nodes.Not(node=negated):
            return _defined_if(negated, holds=not holds)
        case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
            sides = (_defined_if(left, holds=holds), _defined_if(right, holds=holds))
            is_both = isinstance(test, nodes.And) is holds
            return sides[0] | sides[1] if is_both else sides[0] & sides[1]
        case _:
            return _NONE
