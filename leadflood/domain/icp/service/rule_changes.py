"""Changes of an ICP's rules, each a function of the rules in force. Positions count from 0."""

from collections.abc import Mapping
from typing import Any

import msgspec

from leadflood.domain.icp.schemas import QualificationRule
from leadflood.domain.icp.service.icps import RuleChange, Rules
from leadflood.engine.errors import NotFound


def replace_rules(new_rules: Rules) -> RuleChange:
    """Replace all rules."""
    return lambda _rules: new_rules


def append_rule(rule: QualificationRule) -> RuleChange:
    """Add a rule behind the others."""
    return lambda rules: (*rules, rule)


def patch_rule(position: int, fields: Mapping[str, Any]) -> RuleChange:
    """Change some fields of the rule at a position. The change raises: NotFound."""

    def change(rules: Rules) -> Rules:
        rule = msgspec.structs.replace(_rule_at(rules, position), **fields)
        return (*rules[:position], rule, *rules[position + 1 :])

    return change


def remove_rule(position: int) -> RuleChange:
    """Remove the rule at a position. The change raises: NotFound."""

    def change(rules: Rules) -> Rules:
        _rule_at(rules, position)
        return (*rules[:position], *rules[position + 1 :])

    return change


def _rule_at(rules: Rules, position: int) -> QualificationRule:
    if position >= len(rules):
        raise NotFound(
            f"there is no rule at position {position}: this ICP has {len(rules)}, from 0",
            code="icp.rule.not_found",
        )
    return rules[position]
