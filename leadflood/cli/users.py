"""`leadflood users`: people from the terminal; the way back for who locked himself out."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from leadflood.app import Storage
from leadflood.cli.claim import address_of
from leadflood.cli.console import print_data, print_json, say
from leadflood.cli.database_command import AsJson, print_table, who, with_storage
from leadflood.domain.audit.schemas import Actor, AuditEntry
from leadflood.domain.auth.schemas import (
    ALL,
    LinkKind,
    Principal,
    PrincipalKind,
    Role,
    UserState,
    UserView,
)
from leadflood.domain.users.schemas import IssuedLink, UserFilter
from leadflood.engine.db.tx import Tx

ResultT = TypeVar("ResultT")
MOST = 10_000
Email = Annotated[str, typer.Argument(metavar="EMAIL")]

app = typer.Typer(no_args_is_help=True, help="People: list, invite, reset a password.")


@app.command("list")
def list_users(
    role: Annotated[Role | None, typer.Option(help="Only these.")] = None,
    state: Annotated[UserState | None, typer.Option(help="Only these.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List people, newest first."""

    async def read(storage: Storage) -> list[UserView]:
        return await storage.users.list(UserFilter(role=role, state=state), None, MOST)

    found = _with_accounts(read)
    if as_json:
        print_json(found)
        return
    headers = ("email", "name", "role", "state", "second factor", "last login", "id")
    print_table(
        headers,
        [
            (one.email, one.name, one.role, one.state, "yes" if one.has_totp else "no",
             f"{one.last_login_at:%Y-%m-%d %H:%M}" if one.last_login_at else "never", one.id)
            for one in found
        ],
    )  # fmt: skip


@app.command()
def invite(
    email: Email,
    role: Annotated[Role, typer.Option(help="What he may.")] = Role.SALES_REP,
    name: Annotated[str, typer.Option(help="His name.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Invite a person: prints a one-time registration link."""

    async def do(storage: Storage, tx: Tx) -> tuple[IssuedLink, AuditEntry]:
        invited = await storage.users.invite(tx, email, name, role)
        return invited, _entry("user.invited", invited, {"role": role.value})

    _show(_with_act(do), as_json=as_json)


@app.command("reset-password")
def reset_password(
    email: Email,
    removes_totp: Annotated[
        bool, typer.Option("--remove-totp", help="Take the second factor away too.")
    ] = False,
    *,
    as_json: AsJson = False,
) -> None:
    """Print a one-time link to set a new password; his sessions end when it is used."""

    async def do(storage: Storage, tx: Tx) -> tuple[IssuedLink, AuditEntry]:
        user = await storage.users.get_by_email(email, tx)
        is_new = user.state is UserState.INVITED
        kind = LinkKind.INVITATION if is_new else LinkKind.RESET
        made = await storage.users.make_link(tx, user.id, kind, removes_totp=removes_totp)
        return made, _entry("user.reset_link_made", made, {"removesTotp": removes_totp})

    _show(_with_act(do), as_json=as_json)


@app.command("rotate-signing-key")
def rotate_signing_key(*, as_json: AsJson = False) -> None:
    """Sign access tokens with a new key; those signed before stay valid until they end."""

    async def do(storage: Storage, tx: Tx) -> tuple[str, AuditEntry]:
        kid = await storage.accounts.use.signing_keys.rotate(tx)
        entry = AuditEntry(action="signing_key.rotated", subject_kind="signing_key", subject_id=kid)
        return kid, entry

    kid, _ = _with_act(do)
    if as_json:
        print_json({"kid": kid})
        return
    print_data(f"new access tokens are signed with key {kid}")


@app.command("adopt-secret")
def adopt_secret(
    *, yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False
) -> None:
    """Begin anew with this node's accounts.secret: sessions end, second factors are void."""
    if not yes:
        typer.confirm("End all sessions and take all second factors away?", abort=True, err=True)

    async def opened(storage: Storage) -> None:
        await storage.accounts.start(adopts=True)
        entry = AuditEntry(action="accounts.secret_replaced", subject_kind="accounts")
        async with storage.db.transaction() as tx:
            await storage.audit.record(tx, _terminal(), [entry])

    with_storage(opened)
    print_data("this secret is the database's now: everybody logs in again")


def _with_accounts(work: Callable[[Storage], Awaitable[ResultT]]) -> ResultT:
    async def opened(storage: Storage) -> ResultT:
        await storage.accounts.start()
        return await work(storage)

    return with_storage(opened)


def _with_act(
    work: Callable[[Storage, Tx], Awaitable[tuple[ResultT, AuditEntry]]],
) -> tuple[ResultT, str]:
    """Do and audit in one transaction, as whoever sits at the terminal."""

    async def opened(storage: Storage) -> tuple[ResultT, str]:
        await storage.accounts.start()
        async with storage.db.transaction() as tx:
            result, entry = await work(storage, tx)
            await storage.audit.record(tx, _terminal(), [entry])
        return result, address_of(storage.settings)

    return with_storage(opened)


def _terminal() -> Actor:
    operator = Principal(kind=PrincipalKind.OPERATOR, name=who(), permissions=ALL)
    return Actor(principal=operator, address="", request_id="command line")


def _show(told: tuple[IssuedLink, str], *, as_json: bool) -> None:
    made, address = told
    link = address + made.link.path
    if as_json:
        print_json({"link": link, "expiresAt": made.link.expires_at, "user": made.user})
        return
    print_data(link)
    say(f"for {made.user.email} alone; works once, until {made.link.expires_at:%Y-%m-%d %H:%M} UTC")


def _entry(action: str, made: IssuedLink, detail: dict[str, object]) -> AuditEntry:
    return AuditEntry(
        action=action, subject_kind="user", subject_id=str(made.user.id), detail=detail
    )
