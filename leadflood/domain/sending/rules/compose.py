"""The message as it leaves: the footer, the ways to say stop, who writes."""

from collections.abc import Callable, Mapping, Sequence
from urllib.parse import quote
from uuid import UUID

from leadflood.contracts.addresses import normalize_domain
from leadflood.contracts.ports.sender import OutgoingMessage
from leadflood.contracts.values import Channel
from leadflood.domain.sending.schemas import Intent, Settings
from leadflood.engine.errors import NotConfigured

_NO_DOMAIN = "leadflood.invalid"
TokenMaker = Callable[[UUID], str]
"""Returns the unsubscribe token of an intent."""


def missing_settings(
    channel: Channel | None, settings: Settings, missing_senders: Mapping[Channel, str]
) -> tuple[str, ...]:
    """List the settings without which nothing may leave on a channel, its provider's first."""
    required = {}
    if channel is not None and (sender := missing_senders.get(channel)):
        required[sender] = ""
    if channel is Channel.EMAIL:
        required |= {
            "messaging.sender_name": settings.sender_name,
            "messaging.sender_address": settings.sender_address,
            "messaging.postal_address": settings.postal_address,
            "messaging.unsubscribe_mailto or http.public_url": (
                settings.unsubscribe_mailto or settings.public_url
            ),
        }
    elif channel is Channel.WHATSAPP:
        required |= {"messaging.sender_name": settings.sender_name}
    return tuple(name for name, value in required.items() if not value.strip())


def explain_setup(missing: Sequence[str]) -> str:
    """Say which settings a message waits for."""
    return f"set {', '.join(missing)}"


def explain_money(run_id: UUID, scope: str) -> str:
    """Say whose cap a message waits for, and how it is raised."""
    cap = "leadCapMicros" if scope.startswith("lead:") else "capMicros"
    return (
        f"the money of its run is spent: raise {cap} with PATCH /v1/runs/{run_id}/caps"
        f" or `leadflood runs cap {run_id}`"
    )


def require_settings(channel: Channel | None, settings: Settings) -> None:
    """Refuse where a setting is missing. Raises: NotConfigured, naming it."""
    if missing := missing_settings(channel, settings, {}):
        raise NotConfigured(
            f"set {', '.join(missing)} before anything is sent by {channel}: the law asks every "
            "message to say who writes and how to make it stop"
        )


def make_reference(intent_id: UUID, channel: Channel, sender_address: str) -> str:
    """Return the lasting name of a send: the Message-ID of an e-mail, a plain word elsewhere."""
    if channel is not Channel.EMAIL:
        return f"lf-{intent_id.hex}"
    domain = normalize_domain(sender_address.rpartition("@")[2]) or _NO_DOMAIN
    return f"<lf-{intent_id.hex}@{domain}>"


def settle_reference(intent: Intent, sender_address: str) -> str:
    """Return the name of a send that goes now; it may have been made without a sender's domain."""
    if intent.reference.endswith(f"@{_NO_DOMAIN}>"):
        return make_reference(intent.id, intent.channel, sender_address)
    return intent.reference


def compose(intent: Intent, settings: Settings, make_token: TokenMaker) -> OutgoingMessage:
    """Return the message as it leaves, always the same. Raises: NotConfigured."""
    require_settings(intent.channel, settings)
    if intent.channel is Channel.EMAIL:
        return _compose_email(intent, settings, make_token(intent.id))
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


def _compose_email(intent: Intent, settings: Settings, token: str) -> OutgoingMessage:
    url = _unsubscribe_url(settings, token)
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
        unsubscribe_mailto=_unsubscribe_mailto(settings, token),
    )


def _unsubscribe_url(settings: Settings, token: str) -> str:
    """Return the page that stops mail; empty where no public address is set."""
    root = settings.public_url.strip().rstrip("/")
    return f"{root}/u/{token}" if root else ""


def _unsubscribe_mailto(settings: Settings, token: str) -> str:
    """Return the address, with the subject that names the person; empty where none is set."""
    address = _stop_address(settings)
    return f"{address}?subject={quote(f'unsubscribe {token}')}" if address else ""


def _stop_address(settings: Settings) -> str:
    return settings.unsubscribe_mailto.strip().removeprefix("mailto:")


def _footer(settings: Settings, url: str, token: str) -> str:
    stop = url or f"write to {_stop_address(settings)} with the subject: unsubscribe {token}"
    return f"\n\n-- \n{settings.sender_name}\n{settings.postal_address}\nUnsubscribe: {stop}\n"
