"""Suppressions, opt-ins and unsubscribe tokens in the database; every write is set-based."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from leadflood.contracts.values import Channel, FieldName
from leadflood.domain.suppressions.rules.address_hash import hash_token
from leadflood.domain.suppressions.schemas import (
    Coverage,
    NewOptIn,
    NewUnsubscribeToken,
    OptInView,
    OptInWithdrawal,
    SuppressionKind,
    SuppressionView,
    Unsubscribed,
)
from leadflood.engine.db.rows import clean, to_struct
from leadflood.engine.db.sql import load_queries
from leadflood.engine.db.tx import Reader, Tx

SQL = load_queries(__file__)


MOST_IMPORTS = 50
"""A line that so many files say is nobody's mistake any more."""


class SuppressionOrigin(msgspec.Struct, frozen=True, kw_only=True):
    """The reason, source and author of suppressions, and the import whose file says so, if any."""

    reason: str
    source: str
    by: str
    import_id: UUID | None = None


class NewSuppression(msgspec.Struct, frozen=True, kw_only=True):
    """A line to add to the suppression list; `key` is the hash of what it stops."""

    id: UUID
    kind: SuppressionKind
    key: bytes
    hint: str
    origin: SuppressionOrigin


class LiftedCounts(msgspec.Struct, frozen=True):
    """How many lines of an import were lifted, and how many others say too and were kept."""

    lifted: int
    kept: int


class ExportedLine(msgspec.Struct, frozen=True):
    """A live line and the hash of what it stops."""

    key: bytes
    view: SuppressionView


class LeadAddresses(msgspec.Struct, frozen=True):
    """Every address of a lead, whoever gave it."""

    lead_id: UUID
    addresses: tuple[str, ...]


class KeyedLine(msgspec.Struct, frozen=True, kw_only=True):
    """A line of the suppression list with the hash of what it stops."""

    id: UUID
    kind: SuppressionKind
    hint: str
    key: bytes


class LeadOptIn(msgspec.Struct, frozen=True):
    """An agreement as it is kept, with the lead it was recorded for."""

    lead_id: UUID
    key: bytes
    view: OptInView


class UnsubscribeToken(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an unsubscribe token speaks for; `used_at` None: nobody has used it."""

    intent_id: UUID
    lead_id: UUID
    address_key: bytes
    hint: str
    used_at: datetime | None

    def answer(self, *, first_time: bool) -> Unsubscribed:
        """Return what the person is shown."""
        return Unsubscribed(known=True, first_time=first_time, hint=self.hint)


async def add_suppressions(
    tx: Tx, lines: Sequence[NewSuppression], now: datetime
) -> frozenset[bytes]:
    """Add lines to the suppression list; return the hashes of those that were not on it."""
    lines = list({line.key: line for line in reversed(lines)}.values())
    rows = await tx.fetch(
        SQL.add_suppressions,
        now=now,
        ids=[line.id for line in lines],
        kinds=[line.kind.value for line in lines],
        keys=[line.key for line in lines],
        hints=[line.hint for line in lines],
        reasons=[clean(line.origin.reason) for line in lines],
        sources=[clean(line.origin.source) for line in lines],
        import_ids=[line.origin.import_id for line in lines],
        bys=[line.origin.by for line in lines],
        most_imports=MOST_IMPORTS,
    )
    return frozenset(row["key"] for row in rows if row["is_new"])


async def lift_of_import(
    tx: Tx, import_id: UUID, by: str, now: datetime, limit: int
) -> LiftedCounts:
    """Lift the lines that one import alone says, so many at most."""
    row = await tx.fetch_one(SQL.lift_of_import, import_id=import_id, by=by, now=now, limit=limit)
    return LiftedCounts(0, 0) if row is None else LiftedCounts(row["lifted"], row["kept"])


async def find_line_ids(db: Reader, keys: Sequence[bytes]) -> dict[bytes, UUID]:
    """Find the ids of live lines by their hashes."""
    rows = await db.fetch(SQL.find_line_ids, keys=list(keys))
    return {row["key"]: row["id"] for row in rows}


async def count_stopped(
    db: Reader, values: Mapping[UUID, tuple[SuppressionKind, str]]
) -> dict[UUID, int]:
    """Count the sends that are ready and that domains and channels stop, by the lines' ids."""
    if not values:
        return {}
    rows = await db.fetch(
        SQL.count_stopped,
        ids=list(values),
        kinds=[kind.value for kind, _ in values.values()],
        values=[value for _, value in values.values()],
    )
    return {row["id"]: row["due_count"] for row in rows}


async def list_lines(db: Reader, before: UUID, limit: int) -> list[ExportedLine]:
    """List live lines with their hashes, newest first."""
    rows = await db.fetch(SQL.list_lines, before=before, limit=limit)
    return [ExportedLine(row["key"], to_struct(row, SuppressionView)) for row in rows]


async def list_lead_addresses(db: Reader, after: UUID, limit: int) -> list[LeadAddresses]:
    """List the addresses of leads that are not deleted, by the leads' ids."""
    rows = await db.fetch(SQL.list_lead_addresses, after=after, limit=limit)
    return [LeadAddresses(row["id"], tuple(row["addresses"])) for row in rows]


async def find_suppression(db: Reader, key: bytes) -> SuppressionView | None:
    """Return the live line of a hash."""
    row = await db.fetch_one(SQL.find_suppression, key=key)
    return None if row is None else to_struct(row, SuppressionView)


async def count_domain(db: Reader, domain: str) -> Coverage:
    """Count whom a domain covers, and the sends to it that are ready."""
    row = await db.fetch_one(SQL.count_domain, domain=domain)
    return to_struct(row, Coverage) if row else Coverage(0, 0)


async def count_channel(db: Reader, channel: Channel, fields: Sequence[FieldName]) -> Coverage:
    """Count who has an address (`fields`) on a channel, and the sends there that are ready."""
    names = [field.value for field in fields]
    row = await db.fetch_one(SQL.count_channel, channel=channel.value, fields=names)
    return to_struct(row, Coverage) if row else Coverage(0, 0)


async def list_suppressions(
    db: Reader, kind: SuppressionKind | None, before: UUID, limit: int
) -> tuple[SuppressionView, ...]:
    """List live lines, newest first; `kind` None: of all kinds."""
    kind_name = None if kind is None else kind.value
    rows = await db.fetch(SQL.list_suppressions, kind=kind_name, before=before, limit=limit)
    return tuple(to_struct(row, SuppressionView) for row in rows)


async def lift_suppression(
    tx: Tx, suppression_id: UUID, by: str, now: datetime
) -> SuppressionView | None:
    """Lift one line; None when it was not live."""
    row = await tx.fetch_one(SQL.lift_suppression, id=suppression_id, by=by, now=now)
    return None if row is None else to_struct(row, SuppressionView)


async def count_void(db: Reader) -> int:
    """Count the void lines that nobody has lifted."""
    return int(await db.fetch_value(SQL.count_void))


async def list_keyed_lines(tx: Tx) -> list[KeyedLine]:
    """List the lines in force with their hashes."""
    return [to_struct(row, KeyedLine) for row in await tx.fetch(SQL.list_keyed_lines)]


async def rekey_suppressions(tx: Tx, keys: Mapping[UUID, bytes]) -> None:
    """Replace the hashes of lines, by their ids."""
    await tx.execute(SQL.rekey_suppressions, ids=list(keys), keys=list(keys.values()))


async def void_suppressions(tx: Tx, ids: Sequence[UUID], now: datetime) -> None:
    """Mark lines that stop nothing any more."""
    await tx.execute(SQL.void_suppressions, ids=list(ids), now=now)


async def rekey_opt_ins(tx: Tx, keys: Mapping[bytes, bytes], now: datetime) -> int:
    """Replace the hashes of agreements; withdraw those not among `keys` and return how many."""
    former, present = list(keys), list(keys.values())
    count = await tx.execute(SQL.void_opt_ins, former=former, now=now)
    await tx.execute(SQL.rekey_opt_ins, former=former, present=present)
    return count


async def rekey_tokens(tx: Tx, keys: Mapping[bytes, bytes]) -> None:
    """Replace the hashes of whom unsubscribe tokens stop."""
    await tx.execute(SQL.rekey_tokens, former=list(keys), present=list(keys.values()))


async def find_suppressed(db: Reader, keys: Iterable[bytes]) -> frozenset[bytes]:
    """Return those of these hashes that are on the list."""
    rows = await db.fetch(SQL.find_suppressed, keys=list(keys))
    return frozenset(row["key"] for row in rows)


async def find_opted_in(db: Reader, channel: Channel, keys: Iterable[bytes]) -> frozenset[bytes]:
    """Return the addresses, by their hashes, that have a live opt-in on a channel."""
    rows = await db.fetch(SQL.find_opted_in, channel=channel.value, keys=list(keys))
    return frozenset(row["key"] for row in rows)


async def add_opt_ins(
    tx: Tx,
    ids: Sequence[UUID],
    opt_ins: Sequence[tuple[UUID, NewOptIn, str]],
    now: datetime,
) -> None:
    """Write agreements; each comes as (lead, agreement, who recorded it)."""
    agreements = [agreement for _, agreement, _ in opt_ins]
    await tx.execute(
        SQL.add_opt_ins,
        ids=ids,
        lead_ids=[lead_id for lead_id, _, _ in opt_ins],
        channels=[agreement.channel.value for agreement in agreements],
        keys=[agreement.key for agreement in agreements],
        hints=[agreement.hint for agreement in agreements],
        wordings=[agreement.wording for agreement in agreements],
        sources=[agreement.source for agreement in agreements],
        obtained_ats=[agreement.obtained_at for agreement in agreements],
        recorded_bys=[by for _, _, by in opt_ins],
        now=now,
    )


async def replace_opt_ins(
    tx: Tx, new: NewOptIn, lead_id: UUID, members: Sequence[UUID], by: str, now: datetime
) -> None:
    """Withdraw what a lead agreed to on the channel of a newer agreement.

    Of its other records (`members`) only what they agreed to for the same address.
    """
    await tx.execute(
        SQL.replace_opt_ins,
        channel=new.channel.value,
        key=new.key,
        lead_id=lead_id,
        lead_ids=list(members),
        by=by,
        now=now,
    )


async def withdraw_opt_ins(tx: Tx, withdrawal: OptInWithdrawal, now: datetime) -> int:
    """Withdraw agreements on a channel, and return how many there were."""
    rows = await tx.fetch(
        SQL.withdraw_opt_ins,
        channel=withdrawal.channel.value,
        lead_ids=list(withdrawal.lead_ids),
        keys=list(withdrawal.keys),
        by=withdrawal.by,
        reason=clean(withdrawal.reason),
        now=now,
    )
    return len(rows)


async def withdraw_sourced_opt_ins(
    tx: Tx, lead_ids: Sequence[UUID], source: str, origin: SuppressionOrigin, now: datetime
) -> None:
    """Withdraw agreements of leads whose source begins so; `origin` says who does it, and why."""
    await tx.execute(
        SQL.withdraw_sourced_opt_ins,
        lead_ids=list(lead_ids),
        source=source,
        by=origin.by,
        reason=origin.reason,
        now=now,
    )


async def list_opt_ins(db: Reader, lead_ids: Sequence[UUID]) -> list[LeadOptIn]:
    """List all that these leads agreed to, live or withdrawn, newest first."""
    rows = await db.fetch(SQL.list_opt_ins, lead_ids=list(lead_ids))
    return [LeadOptIn(row["lead_id"], row["key"], to_struct(row, OptInView)) for row in rows]


async def add_tokens(tx: Tx, tokens: Sequence[NewUnsubscribeToken], now: datetime) -> None:
    """Write unsubscribe tokens; only hashes are kept."""
    await tx.execute(
        SQL.add_tokens,
        now=now,
        token_hashes=[hash_token(token.token) for token in tokens],
        intent_ids=[token.intent_id for token in tokens],
        lead_ids=[token.lead_id for token in tokens],
        address_keys=[token.address_hash for token in tokens],
        hints=[token.hint for token in tokens],
    )


async def find_token(db: Reader, token: str) -> UnsubscribeToken | None:
    """Return whom a token speaks for; any text may come in."""
    row = await db.fetch_one(SQL.find_token, token_hash=hash_token(token))
    return None if row is None else to_struct(row, UnsubscribeToken)


async def use_token(tx: Tx, token: str, now: datetime) -> bool:
    """Record the first use of a token; whether this was it."""
    row = await tx.fetch_one(SQL.use_token, token_hash=hash_token(token), now=now)
    return row is not None


async def find_mailbox_leads(db: Reader, addresses: Iterable[str]) -> dict[str, frozenset[UUID]]:
    """Find the leads whose mailboxes addresses are, and all that are one with them."""
    rows = await db.fetch(SQL.find_mailbox_leads, addresses=sorted(addresses))
    return {row["address"]: frozenset(row["lead_ids"]) for row in rows}


async def find_family(db: Reader, lead_id: UUID) -> tuple[UUID, ...]:
    """List every lead that is this person; a lead that is gone stands for itself."""
    rows = await db.fetch(SQL.find_family, ids=[lead_id])
    return tuple(row["id"] for row in rows) or (lead_id,)
