"""`leadflood reindex`: rebuild the columns that lists of leads show and search."""

from uuid import UUID

from leadflood.cli.console import print_message
from leadflood.cli.database_command import with_storage
from leadflood.domain.leads.schemas.profiles import NewScore
from leadflood.domain.leads.service import kernel as leads
from leadflood.wiring.storage import Storage

CHUNK = 500


def reindex() -> None:
    """Rebuild the columns that lists of leads show and search; safe while the product runs.

    Needed once after an upgrade of a database with older leads; harmless and repeatable
    otherwise: correct rows are not written.
    """
    count = with_storage(reindex_all)
    print_message(f"{count} leads checked: their lists are up to date")


async def reindex_all(storage: Storage) -> int:
    """Rebuild all leads, a short transaction for each few hundred."""
    count, after = 0, UUID(int=0)
    while lead_ids := await leads.list_ids(storage.db, after, CHUNK):
        predictions = await storage.scores.scores_of(lead_ids)
        scores = [
            NewScore(
                lead_id=lead_id,
                score_id=prediction.id,
                source_version=prediction.source_version,
                score_milli=prediction.score.score_milli,
                band=prediction.score.band,
                icp_id=prediction.icp_id,
                run_id=prediction.run_id,
                scored_at=prediction.created_at,
            )
            for lead_id, prediction in predictions.items()
        ]
        async with storage.db.transaction() as tx:
            await leads.lock(tx, lead_ids)
            await leads.refresh_list_columns(tx, lead_ids)
            await leads.record_scores(tx, scores)
        count, after = count + len(lead_ids), lead_ids[-1]
    return count
