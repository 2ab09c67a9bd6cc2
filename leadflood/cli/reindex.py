"""`leadflood reindex`: fill in what lists of leads show, from all that is said of them."""

from uuid import UUID

from leadflood.app import Storage
from leadflood.cli.console import say
from leadflood.cli.database_command import with_storage
from leadflood.domain.leads import store as leads

CHUNK = 500


def reindex() -> None:
    """Fill in again what lists show of leads and find them by; while the product runs.

    Needed once after an upgrade of a database with leads from before lists were kept; harmless
    and repeatable otherwise: what is right already is not written.
    """
    count = with_storage(reindex_all)
    say(f"{count} leads looked at: lists show what is said of them")


async def reindex_all(storage: Storage) -> int:
    """Go through all leads, a short transaction each few hundred."""
    count, after = 0, UUID(int=0)
    while lead_ids := await leads.list_ids(storage.db, after, CHUNK):
        found = await storage.scores.scores_of(lead_ids)
        scores = [
            leads.NewScore(
                lead_id=lead_id,
                score_id=one.id,
                score_milli=one.score.score_milli,
                band=one.score.band,
                icp_id=one.icp_id,
                run_id=one.run_id,
                scored_at=one.created_at,
            )
            for lead_id, one in found.items()
        ]
        async with storage.db.transaction() as tx:
            await leads.lock(tx, lead_ids)
            await leads.refresh(tx, lead_ids)
            await leads.record_scores(tx, scores)
        count, after = count + len(lead_ids), lead_ids[-1]
    return count
