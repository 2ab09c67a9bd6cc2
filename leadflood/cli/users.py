"""`leadflood users`: invite users; the way back in for locked-out ones."""

from collections.abc import Awaitable, Callable
from typing import Annotated, TypeVar

import typer

from leadflood.cli import command_audit
from leadflood.cli.claim import base_url
from leadflood.cli.console import format_time, print_data, print_json, print_message, print_table
from leadflood.cli.database_command import AsJson, with_storage
from leadflood.domain.audit.schemas import AuditEntry
from leadflood.domain.auth.schemas.links import LinkKind
from leadflood.domain.auth.schemas.principals import OPERATOR
from leadflood.domain.auth.schemas.roles import Role
from leadflood.domain.auth.schemas.users import UserState, UserView
from leadflood.domain.users.schemas import IssuedLink, UserFilter
from leadflood.engine.db.tx import Tx
from leadflood.wiring.storage import Storage

ResultT = TypeVar("ResultT")
MAX_USERS = 10_000
Email = Annotated[str, typer.Argument(metavar="EMAIL")]

app = typer.Typer(no_args_is_help=True, help="Users: list, invite, reset a password.")


@app.command("list")
def list_users(
    role: Annotated[Role | None, typer.Option(help="Only with this one.")] = None,
    state: Annotated[UserState | None, typer.Option(help="Only with this one.")] = None,
    *,
    as_json: AsJson = False,
) -> None:
    """List users, newest first."""

    async def read(storage: Storage) -> list[UserView]:
        return await storage.users.list(UserFilter(role=role, state=state), None, MAX_USERS)

    users = _with_accounts(read)
    if as_json:
        print_json(users)
        return
    headers = ("email", "name", "role", "state", "second factor", "last login", "id")
    print_table(
        headers,
        [
            (
                user.email,
                user.name,
                user.role,
                user.state,
                "yes" if user.has_totp else "no",
                format_time(user.last_login_at) or "never",
                user.id,
            )
            for user in users
        ],
    )


@app.command()
def invite(
    email: Email,
    role: Annotated[Role, typer.Option(help="What they may do.")] = Role.SALES_REP,
    name: Annotated[str, typer.Option(help="Their name.")] = "",
    *,
    as_json: AsJson = False,
) -> None:
    """Invite a user: prints a one-time registration link."""

    async def act(storage: Storage, tx: Tx) -> tuple[IssuedLink, AuditEntry]:
        invited = await storage.users.invite(tx, email, name, role, OPERATOR)
        return invited, _entry("user.invited", invited, {"role": role.value})

    _print_link(_with_audit(act), as_json=as_json)


@app.command("reset-password")
def reset_password(
    email: Email,
    removes_totp: Annotated[
        bool, typer.Option("--remove-totp", help="Remove the second factor too.")
    ] = False,
    *,
    as_json: AsJson = False,
) -> None:
    """Print a one-time link to set a new password; their sessions end when it is used."""

    async def act(storage: Storage, tx: Tx) -> tuple[IssuedLink, AuditEntry]:
        user = await storage.users.get_by_email(email, tx)
        is_new = user.state is UserState.INVITED
        kind = LinkKind.INVITATION if is_new else LinkKind.RESET
        issued = await storage.users.make_link(
            tx, user.id, kind, OPERATOR, removes_totp=removes_totp
        )
        return issued, _entry("user.reset_link_made", issued, {"removesTotp": removes_totp})

    _print_link(_with_audit(act), as_json=as_json)


@app.command("rotate-signing-key")
def rotate_signing_key(*, as_json: AsJson = False) -> None:
    """Sign access tokens with a new key; those signed before stay valid until they expire."""

    async def act(storage: Storage, tx: Tx) -> tuple[str, AuditEntry]:
        kid = await storage.accounts.use.signing_keys.rotate(tx)
        entry = AuditEntry(action="signing_key.rotated", subject_kind="signing_key", subject_id=kid)
        return kid, entry

    kid, _ = _with_audit(act)
    if as_json:
        print_json({"kid": kid})
        return
    print_data(f"new access tokens are signed with key {kid}")


def _with_accounts(work: Callable[[Storage], Awaitable[ResultT]]) -> ResultT:
    async def run(storage: Storage) -> ResultT:
        await storage.accounts.start()
        return await work(storage)

    return with_storage(run)


def _with_audit(
    work: Callable[[Storage, Tx], Awaitable[tuple[ResultT, AuditEntry]]],
) -> tuple[ResultT, str]:
    """Run and audit in one transaction, as the user at the terminal."""

    async def run(storage: Storage) -> tuple[ResultT, str]:
        await storage.accounts.start()
        async with storage.db.transaction() as tx:
            result, entry = await work(storage, tx)
            await command_audit.record_entry(storage, tx, entry)
        return result, base_url(storage.settings)

    return with_storage(run)


def _print_link(result: tuple[IssuedLink, str], *, as_json: bool) -> None:
    issued, base = result
    link = base + issued.link.path
    if as_json:
        print_json({"link": link, "expiresAt": issued.link.expires_at, "user": issued.user})
        return
    print_data(link)
    expires_at = f"{format_time(issued.link.expires_at)} UTC"
    print_message(f"for {issued.user.email} only; works once, until {expires_at}")


def _entry(action: str, issued: IssuedLink, detail: dict[str, object]) -> AuditEntry:
    return AuditEntry(
        action=action, subject_kind="user", subject_id=str(issued.user.id), detail=detail
    )
