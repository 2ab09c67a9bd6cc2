"""Rekeying: the hashes of addresses written anew after the master secret was replaced.

Only keyed hashes are kept of addresses, so a line can be written anew where its value is known
from elsewhere: leads and channels stand in the line, addresses that were written to in their
intents. Every other line is void: it stays on the list, marked, for somebody to add it again.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from leadflood.contracts.values import Channel
from leadflood.domain.suppressions import repository
from leadflood.domain.suppressions.repository import KeyedLine
from leadflood.domain.suppressions.rules.address_hash import AddressHasher
from leadflood.domain.suppressions.schemas import AddressKey, RekeyCounts, SuppressionKind
from leadflood.engine.db.tx import Tx

_SELF_EVIDENT = (SuppressionKind.LEAD, SuppressionKind.CHANNEL)
"""The kinds whose hint is the whole value."""


class Rekeying:
    """Writes hashes anew under the present key."""

    def __init__(self, key: AddressKey) -> None:
        self._hasher = AddressHasher(key)

    def hash_addresses(self, addresses: Mapping[bytes, tuple[Channel, str]]) -> dict[bytes, bytes]:
        """Return the present hash of each address, by the former one."""
        return {
            former: self._hasher.hash_address(channel, address)
            for former, (channel, address) in addresses.items()
        }

    async def rekey(self, tx: Tx, keys: Mapping[bytes, bytes], now: datetime) -> RekeyCounts:
        """Write the list, the agreements and whom the tokens stop anew.

        `keys` are the present hashes by the former. Links that are out go on to work: a token is
        looked up by a hash without a key.
        """
        lines = await repository.list_keyed_lines(tx)
        present = dict(self._present_keys(lines, keys))
        void = [line.id for line in lines if line.id not in present]
        await repository.rekey_suppressions(tx, present)
        await repository.void_suppressions(tx, void, now)
        opt_ins_void = await repository.rekey_opt_ins(tx, keys, now)
        await repository.rekey_tokens(tx, keys)
        return RekeyCounts(kept=len(present), void=len(void), opt_ins_void=opt_ins_void)

    def _present_keys(
        self, lines: Sequence[KeyedLine], keys: Mapping[bytes, bytes]
    ) -> Iterator[tuple[UUID, bytes]]:
        for line in lines:
            if line.kind in _SELF_EVIDENT:
                yield line.id, self._hasher.hash_value(line.kind, line.hint)
            elif line.key in keys:
                yield line.id, keys[line.key]
