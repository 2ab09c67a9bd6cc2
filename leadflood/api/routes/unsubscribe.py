"""What anybody may reach: whether we live, and the way out for those we wrote to."""

from html import escape
from http import HTTPStatus

import msgspec

from leadflood.api.http.html import HTML, page
from leadflood.api.http.responses import HtmlPage
from leadflood.api.http.routing import Route
from leadflood.api.services import Node

LONGEST_TOKEN = 200


class Alive(msgspec.Struct, frozen=True):
    """The process answers."""

    status: str = "ok"


class Public:
    """The routes that need no token. `/u/{token}` is open: the token in it is what it needs."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        return (
            Route(
                method="GET", path="/health", handler=self.health, permission="", is_open=True,
                rate="none",
            ),
            Route(
                method="GET", path="/u/{token}", handler=self.ask, permission="", is_open=True,
                rate="public", content_type=HTML, also=(HTTPStatus.NOT_FOUND,),
            ),
            Route(
                method="POST", path="/u/{token}", handler=self.unsubscribe, permission="",
                is_open=True, rate="public", content_type=HTML,
                also=(HTTPStatus.NOT_FOUND,), idempotent=False,
                reason="mail programs send no key (RFC 8058); again changes nothing",
            ),
        )  # fmt: skip

    async def health(self) -> Alive:
        """Tell that the process lives; whether it can work is told by /ready."""
        return Alive()

    async def ask(self, token: str) -> HtmlPage:
        """Ask whether to unsubscribe; changes nothing, as programs that follow links come here."""
        found = await self._node.services.messaging.peek_unsubscribe(token[:LONGEST_TOKEN])
        if not found.known:
            return _unknown()
        if not found.first_time:
            return _already(found.hint)
        text = (
            f"<p>Stop all messages to {escape(found.hint)}?</p>"
            '<form method="post"><input type="hidden" name="List-Unsubscribe" value="One-Click">'
            "<button>Unsubscribe</button></form>"
        )
        return page("Unsubscribe", text)

    async def unsubscribe(self, token: str) -> HtmlPage:
        """Unsubscribe at once (RFC 8058): no login, no question; again changes nothing."""
        found = await self._node.services.messaging.unsubscribe(token[:LONGEST_TOKEN])
        return _already(found.hint) if found.known else _unknown()


def _already(hint: str) -> HtmlPage:
    return page("Unsubscribed", f"<p>Nothing more will be sent to {escape(hint)}.</p>")


def _unknown() -> HtmlPage:
    text = "<p>This link is not one of ours, or it was cut. Answer the message instead.</p>"
    return page("Link not known", text, HTTPStatus.NOT_FOUND)
