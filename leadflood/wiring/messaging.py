"""The services of messages, from drafts to suppressions."""

from collections.abc import Mapping

import msgspec

from leadflood.contracts.ports.sender import Sender
from leadflood.contracts.values import Channel
from leadflood.domain.audit.service import AuditTrail
from leadflood.domain.drafting.schemas import Settings as MessagingSettings
from leadflood.domain.drafting.service.templates import TemplateService
from leadflood.domain.imports.service.import_lifts import ImportLifts
from leadflood.domain.messages.service.approval import MessageApproval
from leadflood.domain.messages.service.messages import MessageService
from leadflood.domain.sending.service.dead_letters import DeadLetterService
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.domain.sending.service.rekeying import SendRekeying
from leadflood.domain.sending.service.suppressed_sends import SuppressedSends
from leadflood.domain.sending.service.switch import SendingSwitch
from leadflood.domain.sending.service.unknown_sends import UnknownSends
from leadflood.domain.sending.service.waiting_sends import WaitingSends
from leadflood.domain.suppressions.schemas import AddressKey
from leadflood.domain.suppressions.service.batches import SuppressionBatches
from leadflood.domain.suppressions.service.list_exports import SuppressionExports
from leadflood.domain.suppressions.service.opt_ins import OptInService
from leadflood.domain.suppressions.service.stated_consent import StatedConsent
from leadflood.domain.suppressions.service.suppressions import SuppressionService
from leadflood.domain.suppressions.service.unsubscribing import UnsubscribeService
from leadflood.engine.clock import Clock
from leadflood.engine.db.pool import Database
from leadflood.engine.ids import Ids
from leadflood.engine.queue.publisher import Publisher
from leadflood.settings import Settings


class Messaging(msgspec.Struct, frozen=True, kw_only=True):
    """The services of messages; without `senders` nothing can be looked up at a provider."""

    messages: MessageService
    approval: MessageApproval
    templates: TemplateService
    outbox: Outbox
    sending: SendingSwitch
    unknown_sends: UnknownSends
    waiting_sends: WaitingSends
    dead_letters: DeadLetterService
    suppressions: SuppressionService
    suppression_batches: SuppressionBatches
    suppression_exports: SuppressionExports
    stated_consent: StatedConsent
    suppressed_sends: SuppressedSends
    import_lifts: ImportLifts
    opt_ins: OptInService
    unsubscribing: UnsubscribeService
    rekeying: SendRekeying


class MessagingParts(msgspec.Struct, frozen=True, kw_only=True):
    """What the services of messages are built from; `key` hashes addresses."""

    settings: MessagingSettings
    key: AddressKey
    audit: AuditTrail
    db: Database
    ids: Ids
    clock: Clock
    publisher: Publisher
    senders: Mapping[Channel, Sender] | None = None
    missing_senders: Mapping[Channel, str] = {}


def build_messaging(parts: MessagingParts) -> Messaging:
    """Build the services of messages."""
    settings, key, db, ids, clock = parts.settings, parts.key, parts.db, parts.ids, parts.clock
    outbox = Outbox(settings, key, clock, parts.missing_senders)
    unknown_sends = UnknownSends(db, parts.publisher, settings, key, clock, parts.senders)
    switch = SendingSwitch(db, clock)
    suppressions = SuppressionService(db, key, ids, clock)
    return Messaging(
        messages=MessageService(db, outbox),
        approval=MessageApproval(settings, clock, ids, outbox),
        templates=TemplateService(db, settings, ids, clock),
        outbox=outbox,
        sending=switch,
        unknown_sends=unknown_sends,
        waiting_sends=WaitingSends(parts.publisher, outbox, clock),
        dead_letters=DeadLetterService(unknown_sends, ids, clock),
        suppressions=suppressions,
        suppression_batches=SuppressionBatches(key, ids, clock),
        suppression_exports=SuppressionExports(db, key, parts.audit),
        stated_consent=StatedConsent(key, ids, clock),
        suppressed_sends=SuppressedSends(key, clock),
        import_lifts=ImportLifts(suppressions),
        opt_ins=OptInService(db, key, ids, clock),
        unsubscribing=UnsubscribeService(db, key, ids, clock),
        rekeying=SendRekeying(key, clock, switch),
    )


def messaging_settings(settings: Settings) -> MessagingSettings:
    """Return the messaging settings with the public URL."""
    messaging = settings.messaging
    if not messaging.public_url and settings.http.public_url:
        return msgspec.structs.replace(messaging, public_url=settings.http.public_url)
    return messaging
