"""ICPs for tests, and what Hypothesis draws rules from."""

from typing import Any

import msgspec
from hypothesis import HealthCheck, settings, strategies as st
from leadflood.domain.icp.schemas import (
    FIELD_DESCRIPTIONS,
    FieldKind,
    IcpInput,
    Operator,
    QualificationRule,
    RuleField,
    RuleKind,
    Target,
)

CALM = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.too_slow])
"""For machines that are busy with other tests."""

WORDS = st.sampled_from(("sap", "SAP", "stripe", "vp", "Berlin", "ops", "a b"))
NUMBERS = st.one_of(st.integers(-20, 20), st.floats(-20, 20, allow_nan=False))
BY_KIND: dict[FieldKind, st.SearchStrategy[Any]] = {
    FieldKind.NUMBER: NUMBERS,
    FieldKind.FLAG: st.booleans(),
    FieldKind.CATEGORY: st.sampled_from(("vp", "VP", "head", "c_suite", "owner")),
    FieldKind.TEXT: WORDS,
    FieldKind.LIST: WORDS,
}
ITEMS_BY_KIND = {kind: st.lists(one, min_size=1, max_size=3) for kind, one in BY_KIND.items()}
BOUNDS = (Operator.GT, Operator.GTE, Operator.LT, Operator.LTE)
FITTING: dict[FieldKind, tuple[Operator, ...]] = {
    FieldKind.NUMBER: (
        Operator.EQ,
        Operator.NEQ,
        Operator.IN,
        Operator.NOT_IN,
        Operator.BETWEEN,
        Operator.EXISTS,
        *BOUNDS,
    ),
    FieldKind.FLAG: (Operator.EQ, Operator.NEQ, Operator.EXISTS),
    FieldKind.CATEGORY: (
        Operator.EQ,
        Operator.NEQ,
        Operator.IN,
        Operator.NOT_IN,
        Operator.CONTAINS,
        Operator.EXISTS,
        Operator.MATCHES,
    ),
    FieldKind.LIST: (
        Operator.IN,
        Operator.NOT_IN,
        Operator.CONTAINS,
        Operator.EXISTS,
        Operator.MATCHES,
    ),
}
FITTING[FieldKind.TEXT] = FITTING[FieldKind.CATEGORY]
FEW_FIELDS = (
    RuleField.TITLE,
    RuleField.COMPANY_SIZE,
    RuleField.EMAIL_VERIFIED,
    RuleField.TECHNOLOGIES,
    RuleField.SENIORITY,
)


def an_icp(**over: Any) -> IcpInput:
    given = IcpInput(
        name="Fintech in DACH",
        offer="We sell calm.",
        target=Target(
            titles=("VP Operations",),
            industries=("logistics",),
            countries=("DE", "AT"),
            technologies=("SAP",),
            company_size_min=50,
            company_size_max=500,
        ),
    )
    return msgspec.structs.replace(given, **over)


def a_rule(field: str, operator: str, value: Any, **over: Any) -> QualificationRule:
    return QualificationRule(
        field=RuleField(field), operator=Operator(operator), value=value, **over
    )


def a_flag(field: str, **over: Any) -> QualificationRule:
    return QualificationRule(field=RuleField(field), operator=Operator.EQ, value=True, **over)


@st.composite
def rules(draw: st.DrawFn) -> QualificationRule:
    """Draw a rule that `check_icp` accepts, on few fields, so that rules meet on them."""
    field = draw(st.sampled_from(FEW_FIELDS))
    kind = FIELD_DESCRIPTIONS[field].kind
    operator = draw(st.sampled_from(FITTING[kind]))
    if operator is Operator.EXISTS:
        value: Any = draw(st.booleans())
    elif operator in (Operator.IN, Operator.NOT_IN):
        value = tuple(draw(ITEMS_BY_KIND[kind]))
    elif operator is Operator.BETWEEN:
        value = tuple(sorted((draw(NUMBERS), draw(NUMBERS))))
    elif operator is Operator.CONTAINS and draw(st.booleans()):
        value = tuple(draw(ITEMS_BY_KIND[kind]))
    else:
        value = draw(BY_KIND[kind])
    return QualificationRule(
        kind=draw(st.sampled_from((RuleKind.WEIGHTED, RuleKind.WEIGHTED, RuleKind.HARD_FILTER))),
        field=field,
        operator=operator,
        value=value,
        weight=draw(st.one_of(st.integers(0, 30).map(float), st.floats(0, 1000))),
    )


@st.composite
def features(draw: st.DrawFn) -> dict[str, Any]:
    """Draw a vector of the kinds that the registry promises; any of them may be missing."""
    vector: dict[str, Any] = {}
    for field in FEW_FIELDS:
        if draw(st.booleans()):
            kind = FIELD_DESCRIPTIONS[field].kind
            vector[field.value] = (
                tuple(draw(ITEMS_BY_KIND[kind])) if kind is FieldKind.LIST else draw(BY_KIND[kind])
            )
    return vector


odd_values = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(("", "\x00", "\ud800", "\udfff vp", "Ⅷ", "x" * 100_000, 10**400, -(10**5000))),
    st.lists(st.text(), max_size=3).map(tuple),
)
