"""An intent made into what a sender hands over: the footer, the ways to say stop, who writes."""

from urllib.parse import quote

from leadflood.contracts.ports.sender import OutgoingMessage
from leadflood.contracts.values import Channel
from leadflood.domain.messaging.keys import Keys
from leadflood.domain.messaging.schemas import Intent, Settings
from leadflood.engine.errors import NotConfigured


def missing_settings(channel: Channel | None, settings: Settings) -> tuple[str, ...]:
    """Name the settings without which nothing may leave on a channel."""
    wanted = {"messaging.hash_secret": settings.hash_secret}
    if channel is Channel.EMAIL:
        wanted |= {
            "messaging.sender_name": settings.sender_name,
            "messaging.sender_address": settings.sender_address,
            "messaging.postal_address": settings.postal_address,
            "messaging.unsubscribe_mailto or http.public_url": (
                settings.unsubscribe_mailto or settings.public_url
            ),
        }
    elif channel is Channel.WHATSAPP:
        wanted |= {"messaging.sender_name": settings.sender_name}
    return tuple(name for name, value in wanted.items() if not value.strip())


def require_settings(channel: Channel | None, settings: Settings) -> None:
    """Refuse where a setting is missing. Raises: NotConfigured, naming it."""
    if missing := missing_settings(channel, settings):
        raise NotConfigured(
            f"set {', '.join(missing)} before anything is sent by {channel}: the law asks every "
            "message to say who writes and how to make it stop"
        )


def compose(intent: Intent, settings: Settings, keys: Keys) -> OutgoingMessage:
    """Make the message as it leaves; the same on every look. Raises: NotConfigured."""
    require_settings(intent.channel, settings)
    if intent.channel is Channel.EMAIL:
        return _compose_email(intent, settings, keys.token_for(intent.id))
    return OutgoingMessage(
        intent_id=str(intent.id),
        subject_id=str(intent.lead_id),
        reference=intent.reference,
        channel=intent.channel,
        to=intent.to_address,
        to_name=intent.to_name,
        from_name=settings.sender_name,
        text=intent.body,
        template_id=intent.template_id,
        parameters=intent.parameters,
    )


def unsubscribe_url(settings: Settings, token: str) -> str:
    """Tell the page that stops mail; empty where no public address is set."""
    base = settings.public_url.strip().rstrip("/")
    return f"{base}/u/{token}" if base else ""


def unsubscribe_mailto(settings: Settings, token: str) -> str:
    """Tell the address, with the subject that names the person; empty where none is set."""
    address = settings.unsubscribe_mailto.strip().removeprefix("mailto:")
    return f"{address}?subject={quote(f'unsubscribe {token}')}" if address else ""


def _compose_email(intent: Intent, settings: Settings, token: str) -> OutgoingMessage:
    url, mailto = unsubscribe_url(settings, token), unsubscribe_mailto(settings, token)
    return OutgoingMessage(
        intent_id=str(intent.id),
        subject_id=str(intent.lead_id),
        reference=intent.reference,
        channel=Channel.EMAIL,
        to=intent.to_address,
        to_name=intent.to_name,
        from_address=settings.sender_address,
        from_name=settings.sender_name,
        reply_to=settings.reply_to,
        subject=intent.subject,
        text=intent.body.rstrip() + _footer(settings, url, token),
        unsubscribe_url=url,
        unsubscribe_mailto=mailto,
    )


def _footer(settings: Settings, url: str, token: str) -> str:
    address = settings.unsubscribe_mailto.strip().removeprefix("mailto:")
    stop = url or f"write to {address} with the subject: unsubscribe {token}"
    return f"\n\n-- \n{settings.sender_name}\n{settings.postal_address}\nUnsubscribe: {stop}\n"
