"""What lists show is what a reading of all that is said gives, whatever happened, also at once."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta
from uuid import UUID

import anyio
import pytest
from leadflood.contracts.values import Band
from leadflood.domain.auth.schemas.principals import Editor
from leadflood.domain.leads.repository.profiles import find_profiles
from leadflood.domain.leads.rules.list_columns import ListColumns, choose_list_columns
from leadflood.domain.leads.schemas.identity import HUMAN_SOURCE, LeadValues
from leadflood.domain.leads.schemas.lead_states import LeadStatus
from leadflood.domain.leads.schemas.profiles import NewScore
from leadflood.domain.leads.service import kernel
from leadflood.domain.leads.service.merging import LeadMerging
from leadflood.domain.leads.service.upserting import upsert
from leadflood.engine.clock import ManualClock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import sqlstate_of
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
            if known is None or known.score_id < one.score_id:
                self.newest[one.lead_id] = one

    async def act(self) -> None:
        """Do one thing; what cannot be because of somebody else is tried again."""
        acts: list[Callable[[], Awaitable[None]]] = [
            self.bring, self.learn, self.learn, self.part, self.score,
        ]  # fmt: skip
        act = self.chance.choice(acts)
        for _ in range(20):
            try:
                return await act()
            except Exception as error:
                if sqlstate_of(error) != "40P01":
                    raise
        raise TimeoutError

    def _some(self) -> list[UUID]:
        known = sorted(self.ids)
        return self.chance.sample(known, min(len(known), self.chance.randint(1, 4)))


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

    for _ in range(60):
        await team.act()

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


async def test_an_older_score_that_comes_late_changes_nothing(database: Database) -> None:
    async with database.transaction() as tx:
        (made,) = await upsert(tx, [a_person(email="a@acme.example")], IDS, SEEN_AT)
    older, newer = IDS.take(2)
    for score_id, milli in ((newer, 2), (older, 1)):
        score = NewScore(
            lead_id=made.lead_id, score_id=score_id, score_milli=milli, band=Band.LOW,
            icp_id=UUID(int=1), run_id=None, scored_at=SEEN_AT,
        )  # fmt: skip
        async with database.transaction() as tx:
            await kernel.record_scores(tx, [score])

    shown = await database.fetch_value(sql("SELECT score_milli FROM lead"))
    assert shown == 2
