"""Messages as people read them, within what they may see."""

from collections import defaultdict, deque
from collections.abc import Mapping, Sequence
from uuid import UUID

import msgspec

from leadflood.domain.auth.schemas.principals import EVERYTHING, Visibility
from leadflood.domain.auth.service.lead_ownership import LeadOwnership
from leadflood.domain.messages import repository
from leadflood.domain.messages.schemas import MessageDetail, MessageFilter, MessageView
from leadflood.domain.sending.schemas import WAITS_FOR_SETUP, IntentState
from leadflood.domain.sending.service.outbox import Outbox
from leadflood.domain.suppressions.service.people import find_family
from leadflood.engine.db.pool import Database
from leadflood.engine.db.tx import Reader
from leadflood.engine.errors import NotFound
from leadflood.engine.ids import NEWEST

ALL_MESSAGES = MessageFilter()


class MessageService:
    """Lists and shows messages."""

    def __init__(self, db: Database, outbox: Outbox) -> None:
        self._db = db
        self._outbox = outbox

    async def list(
        self,
        message_filter: MessageFilter = ALL_MESSAGES,
        *,
        visibility: Visibility = EVERYTHING,
        before: UUID = NEWEST,
        limit: int = 50,
    ) -> tuple[MessageView, ...]:
        """List the messages that fit, newest first; page on with the last id as `before`."""
        lead_id = message_filter.lead_id
        family = None if lead_id is None else await find_family(self._db, lead_id)
        messages = await repository.list_messages(
            self._db, message_filter, visibility, family, before, limit
        )
        return tuple(show_wait(message, self._outbox) for message in messages)

    async def list_by_lead(
        self, db: Reader, lead_ids: Sequence[UUID], limit: int = 50
    ) -> Mapping[UUID, Sequence[MessageView]]:
        """List the newest messages to each of these leads; merged leads each by themselves."""
        messages = defaultdict[UUID, deque[MessageView]](deque)
        for message in await repository.list_by_lead(db, lead_ids, limit):
            messages[message.lead_id].append(show_wait(message, self._outbox))
        return messages

    async def get(self, message_id: UUID, visibility: Visibility = EVERYTHING) -> MessageDetail:
        """Return a message with the facts that carry it. Raises: NotFound."""
        message = await get_message(self._db, message_id, self._outbox)
        await require_visible(self._db, message.lead_id, message_id, visibility)
        return MessageDetail(
            message=message,
            facts=await repository.find_facts(self._db, message_id),
            problems=await repository.find_problems(self._db, message_id),
            version=message.version,
        )


async def get_message(db: Reader, message_id: UUID, outbox: Outbox) -> MessageView:
    """Return a message, whoever's lead it is to. Raises: NotFound."""
    message = await repository.find_message(db, message_id)
    if message is None:
        raise no_message(message_id)
    return show_wait(message, outbox)


def show_wait(message: MessageView, outbox: Outbox) -> MessageView:
    """Return a message with the settings that it waits for, if it is ready and any is missing."""
    if message.intent_state is not IntentState.READY:
        return message
    if not (missing := outbox.missing_settings(message.channel)):
        return message
    return msgspec.structs.replace(
        message, intent_code=WAITS_FOR_SETUP, intent_detail=f"set {', '.join(missing)}"
    )


async def require_visible(
    db: Reader, lead_id: UUID, message_id: UUID, visibility: Visibility
) -> None:
    """Refuse a message to a lead that is out of sight. Raises: NotFound."""
    if visibility.is_limited:
        owners = await LeadOwnership(db).find_owners([lead_id])
        if not visibility.allows(owners.get(lead_id)):
            raise no_message(message_id)


def no_message(message_id: UUID) -> NotFound:
    """Return the error of a message that is not there."""
    return NotFound(f"there is no message {message_id}", code="message.not_found")
