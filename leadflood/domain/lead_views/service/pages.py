"""Lead pages: all that is known of leads, its cost, and their outcomes."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar
from uuid import UUID

from leadflood.domain.auth.schemas.principals import Visibility
from leadflood.domain.lead_views.repository import pages
from leadflood.domain.lead_views.schemas import (
    LeadDetail,
    LeadPage,
    LeadRecord,
    ScoreView,
    TimelineEvent,
)
from leadflood.domain.lead_views.service.page_cache import LeadPageCache
from leadflood.domain.lead_views.service.scores import ScoreViews
from leadflood.domain.leads.schemas.profiles import LeadView
from leadflood.domain.leads.service.leads import LeadService
from leadflood.domain.messages.schemas import MessageView
from leadflood.domain.messages.service.messages import MessageService
from leadflood.domain.scoring.service import ScoringService
from leadflood.domain.suppressions.schemas import OptInView
from leadflood.domain.suppressions.service.opt_ins import OptInService
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import NotFound

DatedT = TypeVar("DatedT", MessageView, OptInView)


class LeadPages:
    """Reads lead pages, cached for as long as no row of theirs changes."""

    def __init__(
        self, db: Database, leads: LeadService, messages: MessageService, opt_ins: OptInService
    ) -> None:
        self._db = db
        self._leads = leads
        self._messages = messages
        self._opt_ins = opt_ins
        self._scores = ScoreViews()
        self._cache = LeadPageCache()

    async def find_many(self, lead_ids: Sequence[UUID]) -> list[LeadPage | None]:
        """Return the page of each lead, of a merged one its survivor's; None: it is gone.

        One statement where nothing has changed since, else five more for all of them.
        """
        async with self._db.session() as db:
            marks = await pages.find_marks(db, lead_ids)
            cached, changed = self._cache.find(marks)
            if changed:
                cached |= self._cache.record(marks, await self._read_details(db, changed))
        return [cached.get(lead_id) for lead_id in lead_ids]

    async def _read_details(self, db: Reader, lead_ids: Sequence[UUID]) -> dict[UUID, LeadDetail]:
        survivors = await self._leads.find_many(db, lead_ids)
        views = {view.id: view for view in survivors.values()}
        families = {view.id: family_of(view) for view in views.values()}
        members = [lead_id for family in families.values() for lead_id in family]
        records = await pages.list_lead_records(db, members)
        scores = await self._scores.find_many(list(views), ScoringService(db))
        messages = await self._messages.list_by_lead(db, members)
        opt_ins = await self._opt_ins.list_by_lead(db, members)
        details = {
            view.id: make_detail(
                view,
                _oldest_first(families[view.id], records),
                scores.get(view.id),
                messages=_newest_first(families[view.id], messages),
                opt_ins=_newest_first(families[view.id], opt_ins),
            )
            for view in views.values()
        }
        return {lead_id: details[view.id] for lead_id, view in survivors.items()}

    async def list_events(
        self, lead_id: UUID, visibility: Visibility, before: UUID | None, limit: int
    ) -> list[TimelineEvent]:
        """List what happened to a lead, newest first, behind a position. Raises: NotFound."""
        view = await self._leads.get(self._db, lead_id)
        if not visibility.allows(view.owner):
            raise NotFound(f"there is no lead {lead_id}", code="leads.not_found")
        return await pages.list_lead_events(self._db, view.id, before, limit)


def family_of(view: LeadView) -> tuple[UUID, ...]:
    """Return the ids of all leads that were merged into one, its own first."""
    return (view.id, *(merged.lead_id for merged in view.merged))


def make_detail(
    view: LeadView,
    records: Sequence[LeadRecord],
    score: ScoreView | None,
    *,
    messages: Sequence[MessageView],
    opt_ins: Sequence[OptInView],
) -> LeadDetail:
    """Put a lead's page together."""
    values = {name: getattr(view, name) for name in LeadView.__struct_fields__}
    return LeadDetail(
        **values,
        cost_micros=sum([record.cost_micros for record in records]),
        records=records,
        score=score,
        messages=messages,
        opt_ins=opt_ins,
    )


def _oldest_first(
    family: Iterable[UUID], records: Mapping[UUID, Sequence[LeadRecord]]
) -> tuple[LeadRecord, ...]:
    return tuple(
        sorted(
            [record for lead_id in family for record in records.get(lead_id, ())],
            key=lambda record: (record.at, record.kind, record.provider),
        )
    )


def _newest_first(
    family: Iterable[UUID], by_lead: Mapping[UUID, Sequence[DatedT]]
) -> Sequence[DatedT]:
    """Join what belongs to all leads of a family; an id is a time."""
    items = [item for lead_id in family for item in by_lead.get(lead_id, ())]
    return sorted(items, key=lambda item: item.id, reverse=True)
