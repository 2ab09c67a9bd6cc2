import pytest
from leadflood.api.http.event_permissions import EventScope, rule_for
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.domain.leads.schemas.events import LeadEvent
from leadflood.engine.queue.event import name_of


@pytest.mark.parametrize(
    ("event_type", "permission", "scope"),
    [
        ("reviews.lead.reviewed", Permission.LEADS_READ, EventScope.OWNED),
        ("reviews.round.ended", Permission.ADMIN_READ, EventScope.TEAM),
        ("engine.node.lost", Permission.ADMIN_READ, EventScope.TEAM),
        ("discovery.lead.discovered", Permission.LEADS_READ, EventScope.OWNED),
        ("discovery.page.fetched", Permission.DISCOVERY_READ, EventScope.RUN),
    ],
)
def test_an_event_without_a_rule_is_about_its_lead_or_needs_the_system_permission(
    event_type: str, permission: Permission, scope: EventScope
) -> None:
    rule = rule_for(event_type)

    assert (rule.permission, rule.scope) == (permission, scope)


def test_events_of_leads_need_a_permission_below_the_system_s() -> None:
    names = [name_of(kind) for kind in LeadEvent.__subclasses__() if not kind.internal]

    rules = {name: rule_for(name) for name in names if "." in name}

    assert len(rules) > 10
    assert Permission.ADMIN_READ not in {rule.permission for rule in rules.values()}
