"""Predicates: one for each operator, total over every fact that is known."""

import unicodedata
from collections.abc import Callable
from functools import lru_cache, partial

from leadflood.contracts.patterns import PatternRefused, compile_pattern
from leadflood.domain.icp.schemas import (
    MAX_NUMBER,
    Operator,
    RuleScalar,
    RuleValue,
)
from leadflood.domain.scoring.schemas import FactValue

Predicate = Callable[[FactValue], bool]
Atoms = frozenset[tuple[str, object]]
"""Scalars in a form in which equal ones are equal."""


class UnusableRule(ValueError):
    """A rule whose value its operator cannot use; the message says why."""


def make_predicate(operator: Operator, value: RuleValue) -> Predicate:
    """Return the test of a rule for facts that are known. Raises: UnusableRule."""
    make: Callable[[RuleValue], Predicate] = _MAKERS[operator]
    return make(value)


@lru_cache(maxsize=50_000)
def fold(text: str) -> str:
    """Fold a text so that case, outer spaces and ways of composing letters do not matter."""
    if text.isascii():
        return text.strip().lower()
    return unicodedata.normalize("NFKC", text).strip().casefold()


def _atom(value: RuleScalar) -> tuple[str, object]:
    """Put a value in a form in which equal ones are equal: a flag is no number, text is folded."""
    if isinstance(value, bool):
        return "flag", value
    if isinstance(value, int | float):
        return "number", value
    return "text", fold(value)


def _atoms(value: RuleValue | FactValue) -> Atoms:
    return frozenset(map(_atom, value if isinstance(value, tuple) else (value,)))


def _number(value: object) -> int | float | None:
    """Read a number; a text that is one counts as one."""
    if isinstance(value, str):
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return value if abs(value) <= MAX_NUMBER else None


def _never(_fact: FactValue) -> bool:
    return False


def _always(_fact: FactValue) -> bool:
    return True


def _is_equal(fact: FactValue, atoms: Atoms) -> bool:
    if isinstance(fact, tuple):
        return _atoms(fact) == atoms
    return len(atoms) == 1 and _atom(fact) in atoms


def _overlaps(fact: FactValue, atoms: Atoms) -> bool:
    if isinstance(fact, tuple):
        return not atoms.isdisjoint(_atoms(fact))
    return _atom(fact) in atoms


def _equal(value: RuleValue) -> Predicate:
    atoms = _atoms(value)
    return lambda fact: _is_equal(fact, atoms)


def _unequal(value: RuleValue) -> Predicate:
    atoms = _atoms(value)
    return lambda fact: not _is_equal(fact, atoms)


def _among(value: RuleValue) -> Predicate:
    atoms = _atoms(value)
    return lambda fact: _overlaps(fact, atoms)


def _not_among(value: RuleValue) -> Predicate:
    atoms = _atoms(value)
    return lambda fact: not _overlaps(fact, atoms)


def _compared(compare: Callable[[int | float, int | float], bool], value: RuleValue) -> Predicate:
    bound = _number(value)
    if bound is None:
        raise UnusableRule("its value is not a number")

    def predicate(fact: FactValue) -> bool:
        number = _number(fact)
        return number is not None and compare(number, bound)

    return predicate


def _between(value: RuleValue) -> Predicate:
    bounds = [_number(bound) for bound in value] if isinstance(value, tuple) else []
    if len(bounds) != 2 or bounds[0] is None or bounds[1] is None:  # noqa: PLR2004 - least and most
        raise UnusableRule("its value is not two numbers")
    least, most = bounds[0], bounds[1]

    def predicate(fact: FactValue) -> bool:
        number = _number(fact)
        return number is not None and least <= number <= most

    return predicate


def _containing(value: RuleValue) -> Predicate:
    items = value if isinstance(value, tuple) else (value,)
    parts = [fold(item) for item in items if isinstance(item, str)]
    if not parts or len(parts) < len(items):
        raise UnusableRule("its value is not words")

    def predicate(fact: FactValue) -> bool:
        if isinstance(fact, tuple):
            texts = {fold(text) for text in fact}
            return all(part in texts for part in parts)
        return isinstance(fact, str) and all(part in fold(fact) for part in parts)

    return predicate


def _existing(value: RuleValue) -> Predicate:
    return _never if value is False else _always


def _matching(value: RuleValue) -> Predicate:
    if not isinstance(value, str):
        raise UnusableRule("its value is not a regular expression")
    try:
        pattern = compile_pattern(value)
    except PatternRefused as error:
        raise UnusableRule(f"its value {error}") from error
    return lambda fact: pattern.is_in_any(fact if isinstance(fact, tuple) else (fact,))


_MAKERS: dict[Operator, Callable[[RuleValue], Predicate]] = {
    Operator.EQ: _equal,
    Operator.NEQ: _unequal,
    Operator.IN: _among,
    Operator.NOT_IN: _not_among,
    Operator.GT: partial(_compared, lambda number, bound: number > bound),
    Operator.GTE: partial(_compared, lambda number, bound: number >= bound),
    Operator.LT: partial(_compared, lambda number, bound: number < bound),
    Operator.LTE: partial(_compared, lambda number, bound: number <= bound),
    Operator.BETWEEN: _between,
    Operator.CONTAINS: _containing,
    Operator.EXISTS: _existing,
    Operator.MATCHES: _matching,
}
