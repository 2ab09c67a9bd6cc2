"""The switch of sending: hold everything, or let it go on."""

from leadflood.domain.sending import repository
from leadflood.domain.sending.schemas import SendingStatus
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Tx
from leadflood.engine.queue import guard


class SendingSwitch:
    """Holds and releases sending. The switch outlives processes and holds for all of them."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self._db = db
        self._clock = clock

    async def status(self) -> SendingStatus:
        """Return whether sending is held, and what may still arrive."""
        return await repository.get_status(self._db)

    async def hold(self, tx: Tx, by: str, reason: str) -> SendingStatus:
        """Stop all sending. Once this is committed, no intent leaves `ready`.

        The answer lists the intents in `sending`: only these may still arrive.
        Waits: for every authorize under way.
        """
        await repository.own_sending_lock(tx)
        return await self._write(tx, "held", by, reason)

    async def release(self, tx: Tx, by: str, reason: str) -> SendingStatus:
        """Resume sending. Waits: for every authorize under way.

        What was due before a restore may have left already: it is unknown now. The other side is
        asked, and what it cannot tell waits for a person.
        """
        await repository.own_sending_lock(tx)
        restored_at = await guard.take_restore(tx)
        if restored_at is not None:
            await repository.doubt_restored(tx, restored_at)
        return await self._write(tx, "released", by, reason)

    async def _write(self, tx: Tx, state: str, by: str, reason: str) -> SendingStatus:
        await repository.write_switch(tx, state, by, reason, self._clock.now())
        return await repository.get_status(tx)
