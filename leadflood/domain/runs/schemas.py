"""Runs: what one may do and spend, and how far it is."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated
from uuid import UUID

import msgspec

from leadflood.contracts.values import Micros, SendsPolicy
from leadflood.domain.auth.schemas.field_rights import lowered, needs
from leadflood.domain.auth.schemas.principals import Principal
from leadflood.domain.auth.schemas.roles import Permission
from leadflood.engine.queue.runs import Run

Sends = Annotated[SendsPolicy, needs(Permission.MESSAGES_SEND, "go")]
"""What a run may send, as a caller asks for it."""
Cap = Annotated[int, msgspec.Meta(ge=0, le=10**15), needs(Permission.BUDGET_WRITE)]
RunCap = Annotated[
    int, msgspec.Meta(ge=0, le=10**15), lowered(Permission.BUDGET_WRITE, "budget.run_micros")
]
LeadCap = Annotated[
    int, msgspec.Meta(ge=0, le=10**15), lowered(Permission.BUDGET_WRITE, "budget.lead_micros")
]
"""Caps as a caller asks for them; see `RunService.resolve`."""


class BudgetDefaults(msgspec.Struct, frozen=True, kw_only=True):
    """The caps that a run gets when its caller names none; None: no cap."""

    currency: str
    run_micros: int | None
    lead_micros: int | None


class RunOpener(msgspec.Struct, frozen=True, kw_only=True):
    """Whoever opens a run: the user whose it is and whose money it spends; empty: nobody's.

    `may_exceed_caps`: whether they may ask for higher caps than those of the settings.
    """

    user_id: str = ""
    may_exceed_caps: bool = False


def opener_of(principal: Principal) -> RunOpener:
    """Return a principal as the opener of runs: a key opens them for its user."""
    return RunOpener(
        user_id="" if principal.user_id is None else str(principal.user_id),
        may_exceed_caps=Permission.BUDGET_WRITE in principal.permissions,
    )


class RunLimits(msgspec.Struct, frozen=True, kw_only=True):
    """The limits of a run.

    `sends`: what becomes of its messages.
    `providers`: those that may be paid; None: all.
    `cap_micros`: the most it may cost in all; None: the cap of the settings.
    `lead_cap_micros`: the most that each of its leads may cost; None: the cap of the settings.
    `has_default_caps`: whether the caps are still to be settled by those of the settings: one that
    is None takes theirs, a higher one is lowered to it for who may not exceed them.
    `opener`: whose run it is.
    `repeats`: a person asked by name that somebody who was written to gets another first message.
    """

    sends: SendsPolicy = SendsPolicy.HOLD
    providers: tuple[str, ...] | None = None
    cap_micros: int | None = None
    lead_cap_micros: int | None = None
    has_default_caps: bool = True
    opener: RunOpener = RunOpener()
    repeats: bool = False


NO_SPENDING = RunLimits(sends=SendsPolicy.NEVER, providers=(), cap_micros=0, has_default_caps=False)
"""The limits of a run that asks nobody and sends nothing."""


class Funnel(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """How many leads of a run got how far. `merged` ones turned out to be another lead found."""

    found: int
    merged: int
    enriched: int
    failed: int
    scored: int
    high: int
    medium: int
    low: int
    drafted: int
    waiting: int
    needs_data: int
    not_wanted: int
    already_written: int
    suppressed: int
    intended: int
    ready: int
    sending: int
    accepted: int
    refused: int
    unknown: int
    cancelled: int
    live_jobs: int
    spent_micros: Micros
    reserved_micros: Micros
    unresolved_micros: Micros


class RunWait(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Something that a run waits for, and how much of its work does.

    `again_at`: when it is tried again; None: as soon as somebody does what `reason` says. Such
    work keeps no run open.
    """

    stage: str
    reason: Annotated[str, needs(Permission.LEADS_READ)]
    count: int
    again_at: datetime | None


class CapChange(
    msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename="camel"
):
    """New caps of a run; null: no cap. One that is left out stays."""

    cap_micros: Cap | msgspec.UnsetType | None = msgspec.UNSET
    lead_cap_micros: Cap | msgspec.UnsetType | None = msgspec.UNSET


class RunReport(msgspec.Struct, frozen=True, kw_only=True):
    """A run and how far it is.

    `run`: the run with its limits.
    `funnel`: its leads stage by stage, and its money.
    `progress_ratio`: the share of its leads that reached their end; None: nothing is found yet.
    `live_jobs`: its jobs that are not settled, by stage.
    `cap_used_micros`: what counts against its cap: spent, reserved and unresolved.
    `waits`: what it waits for, the most work first.
    """

    run: Run
    funnel: Funnel
    progress_ratio: float | None
    live_jobs: Mapping[str, int]
    cap_used_micros: Micros
    waits: tuple[RunWait, ...]


class RunCancellation(msgspec.Struct, frozen=True):
    """A run after its cancellation was asked for; not `is_new`: it had ended before."""

    run: Run
    is_new: bool


class LeadCost(msgspec.Struct, frozen=True, kw_only=True):
    """The cost of one lead in a run."""

    lead_id: UUID
    micros: Micros
    providers: tuple[str, ...]
