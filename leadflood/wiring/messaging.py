"""The services of messages, from drafts to suppressions."""

from collections.abc import Mapping

import msgspec

from leadflood.contracts.ports.sender import Sender
from leadflood.contracts.values import Channel
from leadflood.domain.drafting.schemas import Settings as MessagingSettings
from leadflood.domain.drafting.service.templates import TemplateService
from leadflood.domain.messages.service.approval import MessageApproval
from leadflood.domain.messages.service.messages import MessageService
from leadflood.domain.sending.service.dead_letters import DeadLetterService
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.domain.sending.service.switch import SendingSwitch
from leadflood.domain.sending.service.unknown_sends import UnknownSends
from leadflood.domain.suppressions.service.opt_ins import OptInService
from leadflood.domain.suppressions.service.suppressions import SuppressionService
from leadflood.domain.suppressions.service.unsubscribing import UnsubscribeService
from leadflood.engine import secret_files
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
    dead_letters: DeadLetterService
    suppressions: SuppressionService
    opt_ins: OptInService
    unsubscribing: UnsubscribeService


def build_messaging(
    settings: MessagingSettings,
    db: Database,
    ids: Ids,
    clock: Clock,
    publisher: Publisher,
    senders: Mapping[Channel, Sender] | None = None,
) -> Messaging:
    """Build the services of messages."""
    outbox = Outbox(settings, clock, senders)
    unknown_sends = UnknownSends(db, publisher, settings, clock, senders)
    return Messaging(
        messages=MessageService(db),
        approval=MessageApproval(settings, clock, ids, outbox),
        templates=TemplateService(db, settings, ids, clock),
        outbox=outbox,
        sending=SendingSwitch(db, clock),
        unknown_sends=unknown_sends,
        dead_letters=DeadLetterService(unknown_sends, ids, clock),
        suppressions=SuppressionService(db, settings, ids, clock),
        opt_ins=OptInService(db, settings, ids, clock),
        unsubscribing=UnsubscribeService(db, settings, ids, clock),
    )


def messaging_settings(settings: Settings) -> MessagingSettings:
    """Return the messaging settings with the public URL and the key of the suppression hashes."""
    messaging = settings.messaging
    if not messaging.public_url and settings.http.public_url:
        messaging = msgspec.structs.replace(messaging, public_url=settings.http.public_url)
    if not messaging.hash_secret:
        secret = secret_files.read_or_create(settings.data_folder() / "hash.secret")
        messaging = msgspec.structs.replace(messaging, hash_secret=secret)
    return messaging
