"""Lead input, by hand or by file, as values with their evidence. Pure."""

import hashlib
from collections.abc import Mapping
from datetime import datetime

import msgspec

from leadflood.contracts.found_values import FoundValue, Scalar
from leadflood.contracts.normalization.cells import ReadCell, is_missing, read_value
from leadflood.contracts.normalization.domains import domain_of_email
from leadflood.contracts.normalization.fields import field_of
from leadflood.contracts.normalization.rows import read_row
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.leads.rules.field_forms import EXPECTED, problem_of
from leadflood.domain.leads.schemas.identity import API_SOURCE
from leadflood.domain.leads.schemas.inputs import LeadInput
from leadflood.engine.errors import FieldProblem

STATED_CONFIDENCE = 0.9
"""How sure is what a customer's own records say: better than a guess, worse than a check."""
DERIVED = 0.7
"""How sure is a company's domain that was only read off an address."""

_FIELDS = {name: FieldName(name) for name in LeadInput.__struct_fields__ if name in set(FieldName)}


def normalize_input(lead: LeadInput) -> tuple[dict[FieldName, Scalar], tuple[FieldProblem, ...]]:
    """Return the values that a caller gives for a new lead, and what is wrong with them."""
    inputs = {field: getattr(lead, name) for name, field in _FIELDS.items()}
    texts = {field_of(field, raw): [raw] for field, raw in inputs.items() if isinstance(raw, str)}
    row = read_row({field: cells for field, cells in texts.items() if any(cells)})
    values = row.values
    problems: list[FieldProblem] = []
    for field, raw in inputs.items():
        read_field = field_of(field, raw)
        if isinstance(raw, str):
            notes = "; ".join(note for about, note in row.notes if about is read_field)
            cell = ReadCell(values.get(read_field), notes or None, row.others.get(read_field, ()))
            problem = None if is_missing(read_field, raw) else problem_of(read_field, cell)
        elif raw != () and (value := read_value(field, raw)) is not None:
            values[field], problem = value, None
        else:
            problem = EXPECTED.get(field) if raw != () else None
        if problem is not None:
            problems.append(FieldProblem(_camel_case(field.value), problem))
    problems += _check_channels(lead)
    return values, tuple(problems)


def as_values(
    lead: LeadInput, values: Mapping[FieldName, Scalar], now: datetime
) -> tuple[FoundValue, ...]:
    """Return what a caller says with its evidence: the request itself."""
    evidence = hashlib.sha256(msgspec.json.encode(lead)).hexdigest()
    return _with_evidence(values, API_SOURCE, "leads.create", evidence, now)


def _with_evidence(
    values: Mapping[FieldName, Scalar], source: str, method: str, evidence: str, now: datetime
) -> tuple[FoundValue, ...]:
    evidenced = [
        FoundValue(
            field=field,
            value=value,
            source=source,
            method=method,
            observed_at=now,
            confidence=STATED_CONFIDENCE,
            evidence_hash=evidence,
            is_normal=True,
        )
        for field, value in values.items()
    ]
    domain = domain_of_email(str(values.get(FieldName.EMAIL, "")))
    if domain is not None and FieldName.COMPANY_DOMAIN not in values:
        evidenced.append(
            FoundValue(
                field=FieldName.COMPANY_DOMAIN,
                value=domain,
                source=source,
                method=method,
                observed_at=now,
                confidence=DERIVED,
                evidence_hash=evidence,
            )
        )
    return tuple(evidenced)


def _check_channels(lead: LeadInput) -> list[FieldProblem]:
    channels = [opt_in if isinstance(opt_in, str) else opt_in.channel for opt_in in lead.opt_in]
    problems = [
        FieldProblem("optIn", f"{channel!r} is no channel: use email, whatsapp or sms")
        for channel in channels
        if channel not in set(Channel)
    ]
    if len(set(channels)) < len(channels):
        problems.append(FieldProblem("optIn", "name each channel once"))
    return problems


def _camel_case(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(word.capitalize() for word in rest)
