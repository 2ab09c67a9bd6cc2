"""Rekeying of sends: sending is held, and what is kept of addresses is hashed anew."""

from leadflood.contracts.addresses import mask_address
from leadflood.domain.sending import repository
from leadflood.domain.sending.service.switch import SendingSwitch
from leadflood.domain.suppressions.schemas import AddressKey, NewUnsubscribeToken, RekeyCounts
from leadflood.domain.suppressions.service.recipients import Recipients
from leadflood.domain.suppressions.service.rekeying import Rekeying
from leadflood.engine.clock import Clock
from leadflood.engine.db.tx import Tx

REASON = "the master secret was replaced: look at the void lines first (leadflood suppress list)"


class SendRekeying:
    """The use case of a replaced master secret, for all that hashes addresses."""

    def __init__(self, key: AddressKey, clock: Clock, switch: SendingSwitch) -> None:
        self._clock = clock
        self._switch = switch
        self._recipients = Recipients(key)
        self._rekeying = Rekeying(key)

    async def rekey(self, tx: Tx, by: str) -> RekeyCounts:
        """Hold sending and write every hash anew; return how many lines are void."""
        await self._switch.hold(tx, by, REASON)
        now = self._clock.now()
        keys = self._rekeying.hash_addresses(await repository.list_addresses(tx))
        await repository.rekey_intents(tx, keys)
        for intent in await repository.list_open_recipients(tx):
            token = NewUnsubscribeToken(
                token=self._recipients.unsubscribe_token(intent.id),
                intent_id=intent.id,
                lead_id=intent.lead_id,
                address_hash=self._recipients.hash_address(intent.channel, intent.to_address),
                hint=mask_address(intent.to_address),
            )
            await self._recipients.issue_tokens(tx, [token], now)
        return await self._rekeying.rekey(tx, keys, now)
