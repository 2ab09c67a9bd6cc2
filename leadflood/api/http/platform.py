"""Parts of the process that the framework needs: database, clock, authentication."""

import msgspec

from leadflood.api.http.in_flight import InFlightRequests
from leadflood.domain.audit.service import AuditTrail
from leadflood.domain.auth.service.accounts import Accounts
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import Publisher


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """The part of `Services` that the framework uses.

    `publisher` opens transactions whose events start jobs. `accounts` knows credentials.
    `audit` keeps the record of privileged acts. `in_flight` are the Idempotency-Keys in use.
    """

    db: Database
    ids: Ids
    clock: Clock
    publisher: Publisher
    accounts: Accounts
    audit: AuditTrail
    in_flight: InFlightRequests
