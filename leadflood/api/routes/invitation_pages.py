"""The pages behind one-time links: who has no script yet sets a password in the browser."""

from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qsl

import anyio
import msgspec

from leadflood.api.http.decoding import decode_query
from leadflood.api.http.html import HTML, page
from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.request_context import Caller
from leadflood.api.http.responses import HtmlPage
from leadflood.api.http.routing import Route
from leadflood.api.http.uploads import Upload
from leadflood.api.routes.auth import Auth, Claim, Registration
from leadflood.api.services import Node
from leadflood.domain.auth.schemas import LinkHolder, LinkKind
from leadflood.engine.errors import Conflict, Invalid, NotFound

FORM = "application/x-www-form-urlencoded"
MOST_BYTES = 16_384
MOST_FIELDS = 10
READ_SECONDS = 10.0
MOST_TOKEN_CHARS = 200
FormT = TypeVar("FormT", bound=msgspec.Struct)
BodyT = TypeVar("BodyT", bound=msgspec.Struct)
_ONCE = "a browser's form sends no key; its link works once"


class ClaimForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the claim page sends."""

    email: str = ""
    name: str = ""
    password: str = ""
    again: str = ""


class RegisterForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the registration page sends."""

    name: str = ""
    password: str = ""
    again: str = ""


class JoiningPages:
    """The pages of claiming, registering and resetting; the token in the path is what they need."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._auth = Auth(node)

    def routes(self) -> tuple[Route, ...]:
        """List the rows of the table."""
        shown = (HTTPStatus.NOT_FOUND,)
        told = (*shown, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)
        claim, register = "/claim/{token}", "/register/{token}"
        return (
            Route(
                method="GET", path=claim, handler=self.ask_claim, permission="", is_open=True,
                rate="public", content_type=HTML, also=shown,
            ),
            Route(
                method="POST", path=claim, handler=self.claim, permission="", is_open=True,
                rate="auth", content_type=HTML, also=told, takes=(FORM,),
                idempotent=False, reason=_ONCE,
            ),
            Route(
                method="GET", path=register, handler=self.ask_register, permission="",
                is_open=True, rate="public", content_type=HTML, also=shown,
            ),
            Route(
                method="POST", path=register, handler=self.register, permission="",
                is_open=True, rate="auth", content_type=HTML, also=told, takes=(FORM,),
                idempotent=False, reason=_ONCE,
            ),
        )  # fmt: skip

    async def ask_claim(self, token: str) -> HtmlPage:
        """Ask the first administrator for an address and a password; changes nothing."""
        holder = await self._find(token)
        if holder is None or holder.kind is not LinkKind.CLAIM:
            return _unknown()
        return _claim_page(ClaimForm())

    async def claim(self, token: str, upload: Upload, caller: Caller) -> HtmlPage:
        """Make the first administrator from the claim page's form."""
        form = await _read(upload, ClaimForm)
        try:
            _require_same(form.password, form.again)
            given = {"email": form.email, "name": form.name, "password": form.password}
            body = _body(Claim, token, given)
            await self._auth.claim(body, caller)
        except (Invalid, HttpRefused) as error:
            return _claim_page(form, error.detail, HTTPStatus.UNPROCESSABLE_ENTITY)
        except NotFound:
            return _unknown()
        except Conflict as error:
            return _claim_page(form, error.detail, HTTPStatus.CONFLICT)
        return _done("You are the administrator")

    async def ask_register(self, token: str) -> HtmlPage:
        """Ask somebody invited, or whose password is reset, for a password; changes nothing."""
        holder = await self._find(token)
        if holder is None or holder.email is None:
            return _unknown()
        return _register_page(holder)

    async def register(self, token: str, upload: Upload, caller: Caller) -> HtmlPage:
        """Set a password from the registration page's form."""
        form = await _read(upload, RegisterForm)
        holder = await self._find(token)
        if holder is None or holder.email is None:
            return _unknown()
        try:
            _require_same(form.password, form.again)
            body = _body(Registration, token, {"name": form.name, "password": form.password})
            await self._auth.register(body, caller)
        except (Invalid, HttpRefused) as error:
            return _register_page(holder, error.detail, HTTPStatus.UNPROCESSABLE_ENTITY)
        except NotFound:
            return _unknown()
        return _done("Your password is set")

    async def _find(self, token: str) -> LinkHolder | None:
        return await self._node.services.accounts.use.registration.find(token[:MOST_TOKEN_CHARS])


async def _read(upload: Upload, kind: type[FormT]) -> FormT:
    """Read a small form. Raises: HttpRefused 413, 408, 422."""
    raw = b""
    with anyio.move_on_after(READ_SECONDS) as scope:
        async for chunk in upload.chunks():
            raw += chunk
            if len(raw) > MOST_BYTES:
                raise HttpRefused(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "http.body.too_large",
                    f"the form is longer than {MOST_BYTES} bytes",
                )  # fmt: skip
    if scope.cancelled_caught:
        raise HttpRefused(
            HTTPStatus.REQUEST_TIMEOUT, "http.body.slow", "the form did not arrive in time"
        )
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=MOST_FIELDS
        )
    except ValueError as error:
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "http.body.malformed", "the form cannot be read"
        ) from error
    found: FormT = decode_query(pairs, kind)
    return found


def _body(kind: type[BodyT], token: str, form: Mapping[str, str]) -> BodyT:
    """Say what a form sent as the JSON route has it. Raises: Invalid."""
    try:
        return msgspec.convert({"token": token, **form}, kind)
    except msgspec.ValidationError as error:
        raise Invalid(str(error), code="http.form.invalid") from error


def _require_same(password: str, again: str) -> None:
    """Refuse a slip of the finger. Raises: Invalid."""
    if password != again:
        raise Invalid("the two passwords are not the same", code="auth.password.differs")


def _claim_page(form: ClaimForm, wrong: str = "", status: HTTPStatus = HTTPStatus.OK) -> HtmlPage:
    email = (
        '<label>E-mail<input name="email" type="email" required autocomplete="username"'
        f' value="{escape(form.email)}"></label>'
    )
    return _form_page("Become the administrator", email, form.name, wrong, status)


def _register_page(
    holder: LinkHolder, wrong: str = "", status: HTTPStatus = HTTPStatus.OK
) -> HtmlPage:
    title = "Register" if holder.kind is LinkKind.INVITATION else "Set a new password"
    who = f"<p>For {escape(holder.email or '')}</p>"
    return _form_page(title, who, holder.name or "", wrong, status)


def _form_page(title: str, first: str, name: str, wrong: str, status: HTTPStatus) -> HtmlPage:
    told = f'<p class="wrong">{escape(wrong)}</p>' if wrong else ""
    fields = "".join(
        f'<label>{label}<input name="{field}" type="password" required minlength="12"'
        ' autocomplete="new-password"></label>'
        for label, field in (("Password (at least 12 characters)", "password"), ("Again", "again"))
    )
    text = (
        f'{told}<form method="post">{first}<label>Name<input name="name" maxlength="200"'
        f' autocomplete="name" value="{escape(name)}"></label>{fields}'
        "<button>Set password</button></form>"
    )
    return page(title, text, status)


def _done(title: str) -> HtmlPage:
    return page(title, "<p>Log in with your e-mail address and password now.</p>")


def _unknown() -> HtmlPage:
    text = (
        "<p>This link was used, replaced by a newer one, is too old, or was cut. Ask for a new"
        " one; the first administrator's is printed by <code>leadflood claim</code>.</p>"
    )
    return page("Link not known", text, HTTPStatus.NOT_FOUND)
