"""Unsubscribing over HTTP: the way out for those we wrote to. The token in the link is the key."""

from html import escape
from http import HTTPStatus

from leadflood.api.http.html import HTML, page
from leadflood.api.http.responses import RawResponse
from leadflood.api.http.routing import get, post
from leadflood.api.http.unit_of_work import UnitOfWork
from leadflood.api.services import Services

MAX_TOKEN_CHARS = 200


@get(
    "/u/{token}",
    is_open=True,
    rate="public",
    content_type=HTML,
    also=(HTTPStatus.NOT_FOUND,),
)
async def ask_unsubscribe(token: str, services: Services) -> RawResponse:
    """Ask whether to unsubscribe; changes nothing, as programs that follow links come here."""
    answer = await services.unsubscribing.find(token[:MAX_TOKEN_CHARS])
    if not answer.known:
        return _unknown_page()
    if not answer.first_time:
        return _done_page(answer.hint)
    return page(
        "Unsubscribe",
        f"<p>Stop all messages to {escape(answer.hint)}?</p>"
        '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
        "<button>Unsubscribe</button></form>",
    )


@post(
    "/u/{token}",
    is_open=True,
    rate="public",
    content_type=HTML,
    also=(HTTPStatus.NOT_FOUND,),
    idempotent=False,
    reason="mail programs send no key (RFC 8058); again changes nothing",
)
async def unsubscribe(token: str, services: Services, uow: UnitOfWork) -> RawResponse:
    """Unsubscribe at once (RFC 8058): no login, no question; again changes nothing."""
    answer = await services.unsubscribing.unsubscribe(uow, token[:MAX_TOKEN_CHARS])
    return _done_page(answer.hint) if answer.known else _unknown_page()


def _done_page(hint: str) -> RawResponse:
    return page("Unsubscribed", f"<p>Nothing more will be sent to {escape(hint)}.</p>")


def _unknown_page() -> RawResponse:
    text = "<p>This link is not one of ours, or it was cut. Answer the message instead.</p>"
    return page("Link not known", text, HTTPStatus.NOT_FOUND)
