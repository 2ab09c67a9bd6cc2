"""What lists show is what a reading of all that is said gives, whatever happened, also at once."""

import random
from collections.abc import Awaitable, Callable, Iterable
from datetime import timedelta
from typing import NamedTuple
from uuid import UUID

import anyio
import pytest
from leadflood.contracts.values import Band
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.repository.profiles import find_profiles
from leadflood.domain.leads.rules.list_columns import ListColumns, choose_list_columns
from leadflood.domain.leads.schemas.identity import HUMAN_SOURCE, LeadLoss, LeadValues
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import NewScore
from leadflood.domain.leads.service import kernel, withdrawal
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx, sqlstate_of
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import Ids
from tests.domain.leads.people import SEEN_AT, a_person, a_value
from tests.support.statements import sql

pytestmark = pytest.mark.pg
CLOCK = ManualClock()
IDS = Ids(CLOCK, seed=3)
MERGING = LeadMerging(IDS, CLOCK)
SOURCES = ("apollo", "hunter", "pdl", HUMAN_SOURCE)
PEOPLE = 12
LISTED = sql(
    "SELECT lead.*, lead_text.words::text AS words,"
    " array_to_tsvector(array_remove(string_to_array($1::text, ' '), ''))::text AS folded"
    " FROM lead JOIN lead_text ON lead_text.lead_id = lead.id WHERE lead.id = $2",
    "words",
    "id",
)


SAID = sql("SELECT lead_id, id, field, value FROM field_value WHERE lead_id IS NOT NULL")


class LongFile:
    """A file that has named everybody before."""

    async def find_named(self, _tx: Tx, lead_ids: Iterable[UUID], /) -> set[UUID]:
        return set(lead_ids)


class Team:
    """People, providers and stages that change the same few leads."""

    def __init__(self, database: Database, chance: random.Random) -> None:
        self.database = database
        self.chance = chance
        self.ids: set[UUID] = set()
        self.newest: dict[UUID, NewScore] = {}

    def _values(self) -> dict[str, str]:
        number = self.chance.randrange(PEOPLE)
        told = {
            "full_name": f"Ann Number{number}",
            "first_name": f"First{number}",
            "last_name": f"Läst{self.chance.randrange(3)}",
            "title": f"Head {self.chance.randrange(4)}",
            "email": f"p{number}@firm{number % 3}.example",
            "company_name": f"Firm {self.chance.randrange(3)}",
            "company_domain": f"firm{number % 3}.example",
            "country": self.chance.choice(["DE", "NL", "FR"]),
        }
        return dict(self.chance.sample(sorted(told.items()), self.chance.randint(1, len(told))))

    async def bring(self) -> None:
        given = [
            a_person(
                ("provider:apollo", f"a{self.chance.randrange(PEOPLE)}"),
                source=self.chance.choice(SOURCES),
                **self._values(),
            )
            for _ in range(self.chance.randint(1, 4))
        ]
        async with self.database.transaction() as tx:
            made = await upsert(tx, given, IDS, SEEN_AT)
        self.ids |= {one.lead_id for one in made}

    async def bring_file(self) -> None:
        """Bring people as rows of one file, which may name somebody twice."""
        rows = [a_person(source="csv", **self._values()) for _ in range(3)]
        async with self.database.transaction() as tx:
            made = await upsert(tx, rows, IDS, SEEN_AT, LongFile())
        self.ids |= {one.lead_id for one in made}

    async def take_back(self) -> None:
        """Take from leads what one source said of them, as the undo of an import does."""
        async with self.database.transaction() as tx:
            ids = self._some()
            await withdrawal.lock_leads(tx, ids)
            lost = await withdrawal.delete_values(
                tx, ids, [a_value("title", "x").evidence_hash], source="csv", method="import"
            )
            losses = [LeadLoss(lead_id=lead_id) for lead_id in lost]
            await withdrawal.withdraw(tx, losses, SEEN_AT)

    async def learn(self) -> None:
        found = []
        for lead_id in self._some():
            source, observed = self.chance.choice(SOURCES), self.chance.randrange(40)
            values = tuple(
                a_value(
                    field,
                    text,
                    source=source,
                    confidence=self.chance.choice([0.6, 0.8, 0.95]),
                    observed_at=SEEN_AT + timedelta(days=observed),
                    evidence=str(self.chance.randrange(5)),
                )
                for field, text in self._values().items()
            )
            keys, status = kernel.identity_keys(values), self.chance.choice([None, *LeadStatus])
            code = "provider.down" if status is LeadStatus.FAILED else None
            found.append(
                LeadValues(
                    lead_id=lead_id, values=values, keys=keys, status=status, failed_code=code
                )
            )
        async with self.database.transaction() as tx:
            await kernel.record_values(tx, found, IDS, SEEN_AT)

    async def part(self) -> None:
        for lead_id in self._some()[:1]:
            try:
                async with self.database.transaction() as tx:
                    await MERGING.unmerge(tx, lead_id, Editor(by="ann"))
            except NotFound:
                continue

    async def score(self) -> None:
        scores = [
            NewScore(
                lead_id=lead_id,
                score_id=IDS.new(),
                source_version=self.chance.randrange(4),
                score_milli=self.chance.randrange(100_000),
                band=self.chance.choice(list(Band)),
                icp_id=UUID(int=1),
                run_id=None,
                scored_at=SEEN_AT,
            )
            for lead_id in self._some()
        ]
        async with self.database.transaction() as tx:
            await kernel.lock(tx, [one.lead_id for one in scores])
            await anyio.lowlevel.checkpoint()
            await kernel.record_scores(tx, scores)
        for one in scores:
            known = self.newest.get(one.lead_id)
            if known is None or _order(known) < _order(one):
                self.newest[one.lead_id] = one

    async def act(self) -> str:
        """Do one thing and return its name; what a deadlock stopped is tried again."""
        acts: list[Callable[[], Awaitable[None]]] = [
            self.bring,
            self.bring_file,
            self.learn,
            self.learn,
            self.part,
            self.take_back,
            self.score,
        ]
        act = self.chance.choice(acts)
        for _ in range(20):
            try:
                await act()
            except Exception as error:
                if sqlstate_of(error) != "40P01":
                    raise
            else:
                return act.__name__
        raise TimeoutError

    def _some(self) -> list[UUID]:
        known = sorted(self.ids)
        return self.chance.sample(known, min(len(known), self.chance.randint(1, 4)))


def _order(score: NewScore) -> tuple[int, UUID]:
    return score.source_version, score.score_id


class KnownLead(NamedTuple):
    """What is known of a survivor by what its leads say, and its version."""

    version: int
    members: frozenset[UUID]
    company_id: UUID | None
    values: frozenset[tuple[UUID, str, str]]


async def known_leads(team: Team) -> dict[UUID, KnownLead]:
    """Return every survivor."""
    values: dict[UUID, set[tuple[UUID, str, str]]] = {}
    for row in await team.database.fetch(SAID):
        values.setdefault(row["lead_id"], set()).add((row["id"], row["field"], row["value"]))
    return {
        lead_id: KnownLead(
            profile.version,
            frozenset(profile.members),
            profile.company_id,
            frozenset().union(*(values.get(member, ()) for member in profile.members)),
        )
        for lead_id, profile in (await find_profiles(team.database, team.ids)).items()
        if profile.lead_id == lead_id
    }


async def faults_of(team: Team) -> list[str]:
    """Compare every listed lead with a reading of all that is said of it."""
    faults = []
    told = await find_profiles(team.database, team.ids)
    for lead_id, profile in told.items():
        if profile.lead_id != lead_id:
            continue
        right = choose_list_columns({field: one.value for field, one in profile.values.items()})
        row = await team.database.fetch_one(LISTED, words=right.words, id=lead_id)
        assert row is not None, lead_id
        columns = {name: row[name] for name in ListColumns.__struct_fields__ if name != "words"}
        if columns != {name: getattr(right, name) for name in columns}:
            faults.append(f"{lead_id}: {columns} is shown, {right} is right")
        if row["words"] != row["folded"]:
            faults.append(f"{lead_id}: found by {row['words']}, should be by {row['folded']}")
        score = team.newest.get(lead_id)
        if row["score_id"] != (None if score is None else score.score_id):
            faults.append(f"{lead_id}: shows the score {row['score_id']}, {score} is the newest")
    return faults


@pytest.mark.parametrize("seed", range(3))
async def test_whatever_happens_lists_show_what_is_so(database: Database, seed: int) -> None:
    team = Team(database, random.Random(seed))  # noqa: S311 - a repeatable story, no secret
    await team.bring()
    before = await known_leads(team)

    for _ in range(60):
        act = await team.act()
        after = await known_leads(team)
        for lead_id in before.keys() & after.keys():
            is_same = before[lead_id][1:] == after[lead_id][1:]
            assert is_same or before[lead_id].version < after[lead_id].version, act
        before = after

        assert await faults_of(team) == []


@pytest.mark.parametrize("seed", range(3))
async def test_what_happens_at_once_is_shown_right_at_the_end(
    database: Database, seed: int
) -> None:
    team = Team(database, random.Random(seed))  # noqa: S311 - a repeatable story, no secret
    await team.bring()

    async def work() -> None:
        for _ in range(25):
            await team.act()

    async with anyio.create_task_group() as group:
        for _ in range(6):
            group.start_soon(work)

    assert await faults_of(team) == []
    assert len(team.ids) > PEOPLE // 2


@pytest.mark.parametrize("versions", [(2, 1), (1, 2), (2, 2)])
async def test_a_score_of_an_older_version_or_time_that_comes_late_changes_nothing(
    database: Database, versions: tuple[int, int]
) -> None:
    async with database.transaction() as tx:
        (made,) = await upsert(tx, [a_person(email="a@acme.example")], IDS, SEEN_AT)
    scores = [
        NewScore(
            lead_id=made.lead_id,
            score_id=score_id,
            source_version=version,
            score_milli=milli,
            band=Band.LOW,
            icp_id=UUID(int=1),
            run_id=None,
            scored_at=SEEN_AT,
        )
        for score_id, version, milli in zip(IDS.take(2), versions, (1, 2), strict=True)
    ]
    newest = max(scores, key=_order)
    for score in (newest, *scores):
        async with database.transaction() as tx:
            await kernel.record_scores(tx, [score])

    shown = await database.fetch_value(sql("SELECT score_milli FROM lead"))
    assert shown == newest.score_milli
