"""Leads brought in together: each is made, refused or asked for again by itself."""

from collections.abc import Sequence
from uuid import UUID, uuid4

import msgspec
import pytest
from leadflood.domain.leads.schemas.events import LeadCreated
from leadflood.domain.leads.schemas.inputs import LeadInput
from leadflood.domain.leads.service import kernel
from leadflood.domain.leads.service.insertion import (
    CreateResult,
    LeadRequest,
    Requester,
    create_leads,
    read_lead,
)
from leadflood.domain.leads.service.leads import LeadService
from leadflood.engine.clock import SystemClock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.sql import Query
from leadflood.engine.db.tx import Row, Tx
from leadflood.engine.errors import Conflict, Invalid
from leadflood.engine.ids import Ids
from typing_extensions import override

pytestmark = pytest.mark.pg
CLOCK = SystemClock()
IDS = Ids(CLOCK)
SERVICE = LeadService()
ICP = uuid4()


class WatchedTx(Tx):
    """A transaction that keeps the names of its statements."""

    def __init__(self, tx: Tx) -> None:
        super().__init__(tx._connection)
        self.statements: list[str] = []

    @override
    async def fetch(self, query: Query, **given: object) -> Sequence[Row]:
        self.statements.append(query.name)
        return await super().fetch(query, **given)

    @override
    async def execute(self, query: Query, **given: object) -> int:
        self.statements.append(query.name)
        return await super().execute(query, **given)


def a_request(*, owner: str | None = None, **given: str) -> LeadRequest:
    prepared = read_lead(LeadInput(**given), CLOCK.now())  # type: ignore[arg-type]
    return LeadRequest(prepared=prepared, icp_id=ICP, requester=Requester(owner=owner))


async def create(database: Database, *requests: LeadRequest) -> list[CreateResult]:
    async with database.transaction() as tx:
        return await create_leads(tx, requests, IDS, CLOCK.now())


def lead_of(result: CreateResult) -> UUID:
    assert isinstance(result, LeadCreated)
    return result.lead_id


async def test_each_of_many_is_created_with_its_values_and_its_owner(database: Database) -> None:
    requests = [
        a_request(email=f"p{number}@acme.com", owner=f"o{number % 2}") for number in range(20)
    ]

    results = await create(database, *requests)

    for number, result in enumerate(results):
        view = await SERVICE.get(database, lead_of(result))
        assert view.values["email"] == f"p{number}@acme.com"  # type: ignore[index]
        assert view.owner == f"o{number % 2}"


async def test_a_refused_request_fails_alone_in_its_batch(database: Database) -> None:
    (known,) = await create(database, a_request(email="known@acme.com"))

    results = await create(
        database,
        a_request(email="a@acme.com"),
        a_request(email="known@acme.com"),
        a_request(email="b@acme.com"),
    )

    assert [type(result) for result in results] == [LeadCreated, Conflict, LeadCreated]
    assert str(lead_of(known)) in str(results[1])


async def test_what_cannot_be_a_lead_is_refused_before_any_transaction() -> None:
    with pytest.raises(Invalid, match="give an e-mail"):
        a_request(title="COO")


async def test_of_two_requests_with_one_key_the_second_waits_for_the_next_batch(
    database: Database,
) -> None:
    pair = (a_request(email="a@acme.com", title="COO"), a_request(email="A@acme.com", title="CTO"))

    together = await create(database, *pair)
    afterwards = await create(database, pair[1])

    assert [type(result) for result in together] == [LeadCreated, type(None)]
    assert [type(result) for result in afterwards] == [Conflict]


async def test_a_refused_request_keeps_no_identity_key(database: Database) -> None:
    profile = "https://www.linkedin.com/in/ann-lee"
    await create(database, a_request(email="a@acme.com"))

    refused = await create(database, a_request(email="a@acme.com", linkedin_url=profile))
    free = await create(database, a_request(linkedin_url=profile))

    assert [type(result) for result in (*refused, *free)] == [Conflict, LeadCreated]


async def test_a_batch_of_new_leads_takes_four_statements_however_many(database: Database) -> None:
    requests = [a_request(email=f"p{number}@acme{number % 7}.com") for number in range(200)]

    async with database.transaction() as tx:
        watched = WatchedTx(tx)
        await create_leads(watched, requests, IDS, CLOCK.now())

    assert watched.statements == ["claim_keys", "add_companies", "add_leads", "add_values"]


async def test_a_known_person_costs_the_others_of_the_batch_nothing(database: Database) -> None:
    await create(database, a_request(email="known@acme.com", company_domain="known.com"))

    refused, created = await create(
        database,
        a_request(email="known@acme.com", company_domain="acme.com"),
        a_request(email="new@acme.com", company_domain="acme.com"),
    )

    assert isinstance(refused, Conflict)
    view = await SERVICE.get(database, lead_of(created))
    assert view.values["company_domain"] == "acme.com"  # type: ignore[index]


async def test_a_deleted_person_is_refused_with_the_way_back(database: Database) -> None:
    (created,) = await create(database, a_request(email="a@acme.com"))
    async with database.transaction() as tx:
        (state,) = (await kernel.lock_states(tx, [lead_of(created)])).values()
        gone = msgspec.structs.replace(state, deleted_at=CLOCK.now(), deleted_by="operator")
        await kernel.write_states(tx, [state], [gone], "operator", CLOCK.now())

    (refused,) = await create(database, a_request(email="a@acme.com"))

    assert isinstance(refused, Conflict)
    assert refused.error_code == "leads.lead.deleted"
    assert "restoration" in str(refused)


async def test_the_keys_that_a_refused_request_had_claimed_are_free_again(
    database: Database,
) -> None:
    profile = f"https://linkedin.com/in/{uuid4().hex}"
    await create(database, a_request(email="taken@acme.com"))

    batch = await create(
        database,
        a_request(email="taken@acme.com", linkedin_url=profile),
        a_request(email="free@acme.com"),
    )
    (later,) = await create(database, a_request(email="later@acme.com", linkedin_url=profile))

    assert [type(result) for result in batch] == [Conflict, LeadCreated]
    view = await SERVICE.get(database, lead_of(later))
    assert {key.kind for key in view.keys} == {"email", "linkedin"}
