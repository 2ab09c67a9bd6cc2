"""The same people, brought from everywhere at once, get one first message each."""

import csv
import hashlib
import io
import random
from collections.abc import Sequence
from pathlib import Path
from uuid import UUID

import msgspec
import pytest
from leadflood.contracts.normalization.mailboxes import mailbox_key
from leadflood.contracts.values import SendsPolicy
from leadflood.domain.discovery.schemas import NewDiscovery
from leadflood.domain.discovery.service import DiscoveryService
from leadflood.domain.icp.schemas import Icp, people_query
from leadflood.domain.imports.schemas.mappings import Importer, ImportMapping
from leadflood.domain.imports.service.imports import ImportService
from leadflood.domain.imports.service.uploads import ImportUploads, UploadedFile
from leadflood.domain.leads.schemas.inputs import LeadInput
from leadflood.domain.suppressions.schemas import SuppressionInput, SuppressionKind
from leadflood.domain.users.service.lead_owners import LeadOwners
from leadflood.engine.db.tx import Tx
from leadflood.engine.errors import Conflict
from leadflood.engine.queue import runs
from leadflood.engine.queue.runs import NewRun
from leadflood.sandbox.population import Person

from tests.support.chaos import (
    ChaosField,
    DeliveredMessage,
    Nursery,
    count_by_contact,
    make_report,
    open_chaos_field,
)
from tests.support.leads import create_lead
from tests.support.pretend import Plan, an_icp, lead_of

pytestmark = [pytest.mark.chaos, pytest.mark.pg]

PLAN = Plan(times=50, people_count=4_000, dead_after_seconds=5.0)
HEADER = ("first name", "last name", "title", "company", "website", "email", "email status")


class Crowd(msgspec.Struct, frozen=True, kw_only=True):
    """How many people there are, and how often they are brought."""

    people: int
    files: int
    rows: int
    found: int


FEW = Crowd(people=20, files=4, rows=15, found=10)
MANY = Crowd(people=120, files=1_000, rows=5, found=200)


class Bringers:
    """Everybody who brings the same people: files, the API and searches, under two ICPs."""

    def __init__(self, field: ChaosField, people: Sequence[Person], icps: Sequence[Icp]) -> None:
        self._field = field
        self._storage = field.storage
        self._people = people
        self._icps = icps
        self._random = random.Random(7)  # noqa: S311 - a test that repeats
        self._imports = ImportService(
            self._storage.db,
            self._storage.clock,
            self._storage.icps,
            LeadOwners(self._storage.users),
            self._storage.runs,
            (),
        )

    def spell(self, address: str) -> str:
        """Write an address as somebody else would."""
        local, _, domain = address.partition("@")
        spellings = (address, address.upper(), f"{local}+list{self._random.randrange(9)}@{domain}")
        return self._random.choice(spellings)

    async def bring_file(self, number: int, row_count: int) -> None:
        """Import a file of some of the people, whose leads are scored and written to."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(HEADER)
        for person in self._random.sample(self._people, row_count):
            company = self._field.people.company_of(person)
            name = (person.first_name, person.last_name, person.title.words)
            address = (self.spell(person.email), "verified")
            writer.writerow((*name, company.name, company.domain, *address))
        raw = text.getvalue().encode()
        upload = UploadedFile(
            file=io.BytesIO(raw),
            name=f"people-{number}.csv",
            sha256=hashlib.sha256(raw).digest(),
            byte_count=len(raw),
        )
        importer = Importer(by="operator")
        uploads = ImportUploads(self._storage.ids, self._storage.clock)
        mapping = ImportMapping(
            icp_id=self._icps[number % 2].profile_id, sends=SendsPolicy.GO, providers=()
        )
        async with (
            uploads.read(self._storage.db, upload, importer) as read_file,
            self._storage.producer().transaction() as publication,
        ):
            import_id = await uploads.stage(publication.tx, upload, read_file, importer)
            await self._imports.change_mapping(publication.tx, import_id, mapping, importer, None)
            await self._imports.start(publication, import_id, importer)
        self._field.run_ids.append(import_id)

    async def bring_by_api(self, person: Person, icp: Icp) -> None:
        """Make a lead of somebody in a run of one, as POST /v1/leads does; it may be one."""
        lead = LeadInput(
            email=self.spell(person.email),
            full_name=f"{person.first_name} {person.last_name}",
            title=person.title.words,
            company_name=lead_of(self._field.people, person).company_name,
        )
        storage = self._storage
        try:
            async with storage.producer().transaction() as publication:
                run_id = await self._open_run(publication.tx, "lead")
                created = await create_lead(
                    publication.tx, lead, icp.id, storage.ids, storage.clock
                )
                await publication.publish([created], run_id=run_id)
        except Conflict:
            return  # a lead already
        self._field.run_ids.append(run_id)
        self._field.made.append((run_id, created.lead_id))

    async def search(self, icp: Icp, count: int) -> None:
        """Look for people of an ICP at a provider."""
        async with self._storage.producer().transaction() as publication:
            run_id = await self._open_run(publication.tx, "discovery")
            order = NewDiscovery(
                run_id=run_id,
                icp_id=icp.id,
                provider="apollo",
                query=people_query(an_icp()),
                wanted_count=count,
            )
            discovery = DiscoveryService(self._storage.clock, ["apollo"])
            event = await discovery.start(publication.tx, order)
            await publication.publish([event], run_id=run_id)
        self._field.run_ids.append(run_id)

    async def suppress(self, person: Person) -> None:
        """Write down that somebody said no, in another spelling than any other."""
        local, _, domain = person.email.partition("@")
        line = SuppressionInput(
            kind=SuppressionKind.ADDRESS, value=f"{local}+no@{domain}", reason="said no"
        )
        publisher = self._storage.producer()
        suppressions = self._storage.messaging(publisher).suppressions
        async with publisher.transaction() as publication:
            await suppressions.add(publication, line, by="test", source="test")

    async def _open_run(self, tx: Tx, kind: str) -> UUID:
        run_id = self._storage.ids.new()
        new = NewRun(id=run_id, kind=kind, title="the same people", sends="go")
        return await runs.create(tx, new, self._storage.clock.now())


async def bring_the_same_people(
    nursery: Nursery, database_url: str, folder: Path, crowd: Crowd
) -> None:
    """Bring people by files, the API and searches to two nodes, and count what arrives."""
    async with open_chaos_field(nursery, database_url, folder, PLAN) as field:
        people = [person for person in field.people.people if person.email][: crowd.people]
        icps = [
            await field.storage.icps.record(msgspec.structs.replace(an_icp(), name=name))
            for name in ("Anybody", "Anybody else")
        ]
        bringers = Bringers(field, people, icps)
        refused = people[::6]
        for person in refused:
            await bringers.suppress(person)
        for icp in icps:
            await bringers.search(icp, crowd.found)
        for number in range(crowd.files):
            await bringers.bring_file(number, crowd.rows)
            await bringers.bring_by_api(people[number % len(people)], icps[number % 2])

        workers = [await field.worker() for _ in range(2)]
        for worker in workers:
            await worker.hear("ended", seconds=60.0 + crowd.files)

        report = await make_report(field)
        counts = count_by_contact(await field.ask("messages", list[DeliveredMessage]))
        assert report.problems == ()
        assert max(counts.values()) == 1
        assert not counts.keys() & {mailbox_key(person.email) for person in refused}
        written = counts.keys() & {mailbox_key(person.email) for person in people}
        assert len(written) >= crowd.people // 2
        assert report.intents["cancelled"] > 0


async def test_people_brought_from_everywhere_get_one_first_message_each(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    await bring_the_same_people(nursery, database_url, tmp_path, FEW)


@pytest.mark.long
async def test_people_brought_by_a_thousand_files_get_one_first_message_each(
    nursery: Nursery, database_url: str, tmp_path: Path
) -> None:
    await bring_the_same_people(nursery, database_url, tmp_path, MANY)
