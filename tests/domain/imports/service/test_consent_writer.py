"""Who said no in a file is written to by nobody; the others are."""

from pathlib import Path
from uuid import UUID

import pytest
from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.rows import ReadCsv
from leadflood.domain.imports.schemas.views import NewImport
from leadflood.domain.imports.service.command_imports import CommandImports
from leadflood.domain.leads.service import kernel as leads
from leadflood.domain.messages.schemas import MessageFilter, MessageState
from leadflood.domain.sending.schemas import MessageApproved
from leadflood.domain.suppressions.schemas import SuppressionKind, SuppressionView
from leadflood.domain.suppressions.service.recipients import Recipients
from leadflood.engine.context import Allow
from leadflood.engine.db.pool import Database
from tests.support.messaging import ADDRESS_KEY, World

pytestmark = pytest.mark.pg
MESSY = Path(__file__).parents[1] / "data" / "messy_leads"
MARKED = {
    "k01_optout_salesforce.csv": {"ola@k1a-t0.com", "uno@k1c-t0.com"},
    "consent_apollo.csv": {"ida@ap.example", "jan@ap.example"},
    "consent_dutch.csv": {"bram@nl.example", "fleur@nl.example"},
    "consent_dynamics.csv": {"ria@dy.example"},
    "consent_french.csv": {"zoe@fr.example", "alix@fr.example"},
    "consent_german.csv": {"uta@de.example", "vera@de.example", "willi@de.example"},
    "consent_hubspot.csv": {"jo@hub.example", "kim@hub.example"},
    "consent_instantly.csv": {"olga@in.example", "per@in.example"},
    "consent_japanese.csv": {"sato@jp.example"},
    "consent_mailchimp_unsubscribed.csv": {"lea@mc.example", "max@mc.example"},
    "consent_spanish.csv": {"eva@es.example", "fito@es.example"},
    "consent_zerobounce.csv": {"abe@zb.example", "spam@zb.example"},
}


@pytest.fixture
async def world(database: Database) -> World:
    world = World(database)
    await world.release()
    return world


async def import_file(world: World, file: ReadCsv, name: str = "list.csv") -> dict[int, str]:
    """Import a file; return the address of each row's lead."""
    imports = CommandImports(ADDRESS_KEY, world.ids, world.clock)
    new = NewImport(run_id=world.ids.new(), icp_id=world.ids.new(), name=name)
    async with world.db.transaction() as tx:
        await imports.start_import(tx, new, file)
        await imports.import_rows(tx, new, file.rows)
    lead_ids = await imports.list_leads(world.db, new.run_id)
    profiles = await leads.find_profiles(world.db, lead_ids.values())
    return {number: profiles[lead_id].text(FieldName.EMAIL) for number, lead_id in lead_ids.items()}


async def list_sendable(world: World, file: ReadCsv) -> tuple[set[str], set[str]]:
    """Return whom a send may go to after an import, and who is suppressed."""
    imports = CommandImports(ADDRESS_KEY, world.ids, world.clock)
    new = NewImport(run_id=world.ids.new(), icp_id=world.ids.new(), name="list.csv")
    async with world.db.transaction() as tx:
        await imports.start_import(tx, new, file)
        await imports.import_rows(tx, new, file.rows)
    lead_ids = [
        await world.lead(
            email=str(row.values[FieldName.EMAIL]),
            email_status=row.values.get(FieldName.EMAIL_STATUS, "valid"),
            full_name=f"Ada B{row.number}",
        )
        for row in file.rows
    ]
    run_id = await world.run()
    events = await world.drafted(lead_ids, run_id, await world.icp())
    jobs = [await world.load_send(event) for event in events if isinstance(event, MessageApproved)]
    decisions = await world.authorize(*jobs)
    allowed = {
        job.input.to_address
        for job, decision in zip(jobs, decisions, strict=True)
        if isinstance(decision, Allow)
    }
    messages = await world.messages.list(MessageFilter(run_id=run_id), limit=1_000)
    rows = dict(zip(lead_ids, file.rows, strict=True))
    suppressed = {
        str(rows[message.lead_id].values[FieldName.EMAIL])
        for message in messages
        if message.state is MessageState.SUPPRESSED
    }
    return allowed, suppressed


@pytest.mark.parametrize(("name", "marked"), MARKED.items())
async def test_the_marked_ones_are_suppressed_and_the_others_written_to(
    world: World, name: str, marked: set[str]
) -> None:
    file = read_csv((MESSY / name).read_bytes())

    allowed, denied = await list_sendable(world, file)

    people = {str(row.values[FieldName.EMAIL]): row.values for row in file.rows}
    suppressed = {address for address in people if await find(world, address) is not None}
    doubtful = {
        address
        for address, values in people.items()
        if values.get(FieldName.EMAIL_STATUS, "valid") != "valid"
    }
    assert suppressed == marked
    assert denied == marked
    assert allowed == set(people) - marked - doubtful


async def find(world: World, address: str) -> SuppressionView | None:
    return await world.suppressions.find(SuppressionKind.ADDRESS, address)


async def test_the_line_and_the_cell_are_the_evidence(world: World) -> None:
    file = read_csv(b"email,Email Opt Out\nann@a.example,0\nbob@b.example,X\n")

    await import_file(world, file, name="crm.csv")

    line = await find(world, "bob@b.example")
    assert line is not None
    assert line.reason == "Email Opt Out: 'X'"
    assert line.source.endswith(", line 3 of crm.csv")
    assert await find(world, "ann@a.example") is None


async def test_addresses_in_the_evidence_are_masked(world: World) -> None:
    file = read_csv(b"email,Do Not Contact reason\nann@a.example,asked by ann@a.example\n")

    await import_file(world, file)

    line = await find(world, "ann@a.example")
    assert line is not None
    assert line.reason == "Do Not Contact reason: 'asked by a***@a***.example'"


async def test_a_later_address_of_who_said_no_is_not_written_to(world: World) -> None:
    file = read_csv(
        b"full name,company,website,Email Opt Out\nAda Byron,Acme,https://acme.example,yes\n"
    )
    await import_file(world, file)

    found = await world.lead(
        full_name="Ada Byron", email="ada@acme.example", company_domain="acme.example"
    )

    run_id = await world.run()
    await world.drafted([found], run_id, await world.icp())
    [message] = await world.messages.list(MessageFilter(run_id=run_id))
    assert message.state is MessageState.SUPPRESSED


async def test_a_no_to_calls_leaves_mail_alone(world: World) -> None:
    file = read_csv(b"email,phone,Do Not Call\nann@acme.example,+4930123456,yes\n")

    allowed, denied = await list_sendable(world, file)

    assert (allowed, denied) == ({"ann@acme.example"}, set())
    assert await find(world, "+4930123456") is not None
    assert await find(world, "ann@acme.example") is None


async def test_a_company_that_said_no_is_left_alone_as_a_whole(world: World) -> None:
    file = read_csv(b"company,website,Do Not Contact\nNix GmbH,https://nix.example,yes\n")

    await import_file(world, file)

    assert await world.suppressions.find(SuppressionKind.DOMAIN, "nix.example") is not None


async def test_an_agreement_is_recorded_once_and_a_no_ends_it(world: World) -> None:
    yes = read_csv(
        b"email,phone,WhatsApp opt-in,Opt-in date\nann@a.example,+31620000001,yes,2024-01-02\n"
    )
    await import_file(world, yes)
    await import_file(world, yes)

    lead_id = await world.lead(email="ann@a.example")
    (opt_in,) = await world.opt_ins.list(lead_id)

    assert opt_in.channel is Channel.WHATSAPP
    assert (opt_in.wording, f"{opt_in.obtained_at:%Y-%m-%d}") == (
        "WhatsApp opt-in: 'yes'",
        "2024-01-02",
    )
    assert await find(world, "+31620000001") is None


BARE = "Zelma Quark,Zorb,,yes"
ADDRESSED = "Zelma Quark,Zorb GmbH,zelma@zorb.example,"


async def suppressed_leads(world: World, *files: tuple[str, ...]) -> set[str]:
    """Return the addresses of imported leads to whom nothing goes."""
    lead_ids: list[UUID] = []
    imports = CommandImports(ADDRESS_KEY, world.ids, world.clock)
    for lines in files:
        file = read_csv("\n".join(("Name,Company,Email,Opt out", *lines)).encode())
        new = NewImport(run_id=world.ids.new(), icp_id=world.ids.new(), name="list.csv")
        async with world.db.transaction() as tx:
            await imports.start_import(tx, new, file)
            await imports.import_rows(tx, new, file.rows)
        lead_ids += (await imports.list_leads(world.db, new.run_id)).values()
    people = await leads.find_profiles(world.db, lead_ids)
    stopped = await Recipients(ADDRESS_KEY).find_stopped(world.db, people.values())
    return {
        people[lead_id].text(FieldName.EMAIL)
        for lead_id, channels in stopped.items()
        if Channel.EMAIL in channels
    } - {""}


@pytest.mark.parametrize(
    "files",
    [
        [(ADDRESSED, BARE)],
        [(BARE, ADDRESSED)],
        [(ADDRESSED,), (BARE,)],
        [(BARE,), (ADDRESSED,)],
        [("Quark Zelma,zorb,,x", ADDRESSED)],
    ],
)
async def test_a_no_without_an_address_reaches_the_namesake_at_the_same_company(
    world: World, files: list[tuple[str, ...]]
) -> None:
    assert await suppressed_leads(world, *files) == {"zelma@zorb.example"}


@pytest.mark.parametrize(
    "other",
    [
        "Zelma Quark,Other AG,,yes",
        "Zoe Quark,Zorb,,yes",
        "Zelma Quark,Zorb,z.quark@other.example,yes",
        "Zelma Quark,Zorb,,",
    ],
)
async def test_a_no_of_somebody_else_does_not(world: World, other: str) -> None:
    assert "zelma@zorb.example" not in await suppressed_leads(world, (ADDRESSED, other))
