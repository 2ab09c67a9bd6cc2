"""Invitation pages: whoever has a one-time link sets a password in the browser."""

from html import escape
from http import HTTPStatus
from typing import TypeVar
from urllib.parse import parse_qsl

import anyio
import msgspec

from leadflood.api.http.decoding import decode_query
from leadflood.api.http.html import HTML, page
from leadflood.api.http.problems import HttpRefused
from leadflood.api.http.responses import RawResponse
from leadflood.api.http.routing import get, post
from leadflood.api.http.unit_of_work import LateUnitOfWork
from leadflood.api.http.uploads import Upload
from leadflood.api.routes.auth import ClaimBody, Registration, complete_registration
from leadflood.api.services import Services
from leadflood.domain.auth.schemas.links import LinkHolder, LinkKind
from leadflood.engine.errors import Conflict, Invalid, NotFound

FORM = "application/x-www-form-urlencoded"
MOST_BYTES = 16_384
MOST_FIELDS = 10
READ_SECONDS = 10.0
MOST_TOKEN_CHARS = 200
FormT = TypeVar("FormT", bound=msgspec.Struct)
BodyT = TypeVar("BodyT", bound=msgspec.Struct)
NO_KEY_NEEDED = "a browser's form sends no key; its link works once"
FORM_STATUSES = (HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT, HTTPStatus.UNPROCESSABLE_ENTITY)


class ClaimForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of the claim page."""

    email: str = ""
    name: str = ""
    password: str = ""
    again: str = ""


class RegisterForm(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The form of the registration page."""

    name: str = ""
    password: str = ""
    again: str = ""


@get(
    "/claim/{token}",
    is_open=True,
    rate="public",
    content_type=HTML,
    also=(HTTPStatus.NOT_FOUND,),
)
async def show_claim_page(token: str, services: Services) -> RawResponse:
    """Ask the first administrator for an address and a password; changes nothing."""
    holder = await _find_holder(services, token)
    if holder is None or holder.kind is not LinkKind.CLAIM:
        return _unknown_link()
    return _claim_page(ClaimForm())


@post(
    "/claim/{token}",
    is_open=True,
    rate="auth",
    content_type=HTML,
    also=FORM_STATUSES,
    takes=(FORM,),
    idempotent=False,
    reason=NO_KEY_NEEDED,
)
async def submit_claim(
    token: str, upload: Upload, services: Services, late_uow: LateUnitOfWork[None]
) -> RawResponse:
    """Create the first administrator from the claim page's form."""
    form = await _read_form(upload, ClaimForm)
    try:
        _require_same(form.password, form.again)
        body = _to_body(form, ClaimBody, token)
        prepared = await services.accounts.use.registration.prepare_claim(
            body.token, body.email, body.name, body.password
        )
        async with late_uow.open() as uow:
            await complete_registration(services, prepared, uow)
    except (Invalid, HttpRefused) as error:
        return _claim_page(form, error.detail, HTTPStatus.UNPROCESSABLE_ENTITY)
    except NotFound:
        return _unknown_link()
    except Conflict as error:
        return _claim_page(form, error.detail, HTTPStatus.CONFLICT)
    return _success_page("You are the administrator")


@get(
    "/register/{token}",
    is_open=True,
    rate="public",
    content_type=HTML,
    also=(HTTPStatus.NOT_FOUND,),
)
async def show_registration_page(token: str, services: Services) -> RawResponse:
    """Ask somebody invited, or whose password is reset, for a password; changes nothing."""
    holder = await _find_holder(services, token)
    if holder is None or holder.email is None:
        return _unknown_link()
    return _registration_page(holder)


@post(
    "/register/{token}",
    is_open=True,
    rate="auth",
    content_type=HTML,
    also=FORM_STATUSES,
    takes=(FORM,),
    idempotent=False,
    reason=NO_KEY_NEEDED,
)
async def submit_registration(
    token: str, upload: Upload, services: Services, late_uow: LateUnitOfWork[None]
) -> RawResponse:
    """Set a password from the registration page's form."""
    form = await _read_form(upload, RegisterForm)
    holder = await _find_holder(services, token)
    if holder is None or holder.email is None:
        return _unknown_link()
    try:
        _require_same(form.password, form.again)
        body = _to_body(form, Registration, token)
        prepared = await services.accounts.use.registration.prepare(
            body.token, body.name, body.password
        )
        async with late_uow.open() as uow:
            await complete_registration(services, prepared, uow)
    except (Invalid, HttpRefused) as error:
        return _registration_page(holder, error.detail, HTTPStatus.UNPROCESSABLE_ENTITY)
    except NotFound:
        return _unknown_link()
    return _success_page("Your password is set")


async def _find_holder(services: Services, token: str) -> LinkHolder | None:
    return await services.accounts.use.registration.find(token[:MOST_TOKEN_CHARS])


async def _read_form(upload: Upload, kind: type[FormT]) -> FormT:
    """Read a small form. Raises: HttpRefused 413, 408, 422."""
    try:
        pairs = parse_qsl(
            (await _read_text(upload)).decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except ValueError as error:
        raise HttpRefused(
            HTTPStatus.UNPROCESSABLE_ENTITY, "http.body.malformed", "the form cannot be read"
        ) from error
    return decode_query(pairs, kind)


async def _read_text(upload: Upload) -> bytes:
    text = b""
    with anyio.move_on_after(READ_SECONDS):
        async for chunk in upload.chunks():
            text += chunk
            if len(text) > MOST_BYTES:
                raise HttpRefused(
                    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                    "http.body.too_large",
                    f"the form is longer than {MOST_BYTES} bytes",
                )
        return text
    raise HttpRefused(
        HTTPStatus.REQUEST_TIMEOUT, "http.body.slow", "the form did not arrive in time"
    )


def _to_body(form: ClaimForm | RegisterForm, kind: type[BodyT], token: str) -> BodyT:
    """Return what a form sent as the JSON route takes it. Raises: Invalid."""
    values = {**msgspec.structs.asdict(form), "token": token}
    del values["again"]
    try:
        return msgspec.convert(values, kind)
    except msgspec.ValidationError as error:
        raise Invalid(str(error), code="http.form.invalid") from error


def _require_same(password: str, again: str) -> None:
    """Refuse a slip of the finger. Raises: Invalid."""
    if password != again:
        raise Invalid("the two passwords are not the same", code="auth.password.differs")


def _claim_page(
    form: ClaimForm, wrong: str = "", status: HTTPStatus = HTTPStatus.OK
) -> RawResponse:
    email = (
        '<label>E-mail<input name="email" type="email" required autocomplete="username"'
        f' value="{escape(form.email)}"></label>'
    )
    return _form_page("Become the administrator", email, form.name, wrong, status)


def _registration_page(
    holder: LinkHolder, wrong: str = "", status: HTTPStatus = HTTPStatus.OK
) -> RawResponse:
    title = "Register" if holder.kind is LinkKind.INVITATION else "Set a new password"
    addressee = f"<p>For {escape(holder.email or '')}</p>"
    return _form_page(title, addressee, holder.name or "", wrong, status)


def _form_page(title: str, first: str, name: str, wrong: str, status: HTTPStatus) -> RawResponse:
    refusal = f'<p class="wrong">{escape(wrong)}</p>' if wrong else ""
    fields = "".join(
        f'<label>{label}<input name="{field}" type="password" required minlength="12"'
        ' autocomplete="new-password"></label>'
        for label, field in (("Password (at least 12 characters)", "password"), ("Again", "again"))
    )
    text = (
        f'{refusal}<form method="post">{first}<label>Name<input name="name" maxlength="200"'
        f' autocomplete="name" value="{escape(name)}"></label>{fields}'
        "<button>Set password</button></form>"
    )
    return page(title, text, status)


def _success_page(title: str) -> RawResponse:
    return page(title, "<p>Log in with your e-mail address and password now.</p>")


def _unknown_link() -> RawResponse:
    text = (
        "<p>This link was used, replaced by a newer one, is too old, or was cut. Ask for a new"
        " one; the first administrator's is printed by <code>leadflood claim</code>.</p>"
    )
    return page("Link not known", text, HTTPStatus.NOT_FOUND)
