from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any
from uuid import UUID

import anyio
import pytest
from leadflood.contracts.errors import ProviderRefused
from leadflood.contracts.ports.sender import Arrival, OutgoingMessage, Receipt
from leadflood.contracts.values import Channel
from leadflood.domain.sending.schemas import IntentState, MessageApproved
from leadflood.domain.sending.stage import NoCall, SendStage
from leadflood.domain.suppressions.schemas import SuppressionKind
from leadflood.engine.context import CURRENT_JOB
from leadflood.engine.db.pool import Database
from leadflood.engine.errors import Throttled, Unsure
from leadflood.engine.net.calls import Call, Cut, Gate, Reply, Unreached
from leadflood.engine.queue.outcome import Done
from leadflood.engine.queue.stage import ClaimedTask, Policy
from tests.support.live_gate import running_gateway
from tests.support.messaging import ADDRESS_KEY, World

pytestmark = pytest.mark.pg


class GateSender:
    """Sends through a real gate to a pretended other side that counts."""

    name = "pretend"
    channel = Channel.EMAIL

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.arrived: list[str] = []
        self.fails_with: Exception | None = None
        self.may_answer = anyio.Event()
        self.may_answer.set()

    async def send(self, message: OutgoingMessage) -> Receipt:
        async def send(reference: UUID) -> Reply:
            del reference
            self.arrived.append(message.intent_id)
            await self.may_answer.wait()
            if self.fails_with is not None:
                raise self.fails_with
            return Reply(body=b"250 ok")

        call = Call(
            provider=self.name,
            operation="message.send",
            question=message.reference.encode(),
            limit="server",
            effect=True,
        )
        reply = await self._gate.call(call, send)
        return Receipt(remote_id=message.reference, detail=reply.body.decode())

    async def look_up(self, message: OutgoingMessage, since: datetime) -> Arrival:
        del message, since
        return Arrival.CANNOT_TELL


class Post:
    """A world whose sender goes through a real gate."""

    def __init__(self, world: World, gate: Gate) -> None:
        self.world = world
        self.sender = GateSender(gate)
        world.send = SendStage(
            Policy(), world.settings, ADDRESS_KEY, world.clock, {Channel.EMAIL: self.sender}
        )

    async def work(self, job: ClaimedTask[Any]) -> Any:
        """Work on one claimed sending as the pool does."""
        job.authorize, job.record = self.world.send.authorize, self.world.send.record
        token = CURRENT_JOB.set(job)
        try:
            return await self.world.send.work(job.input)
        finally:
            CURRENT_JOB.reset(token)


@asynccontextmanager
async def opened_post(database: Database) -> AsyncIterator[Post]:
    world = World(database)
    await world.release()
    async with running_gateway(database) as opened:
        yield Post(world, opened.gate)


@pytest.fixture
async def post(database: Database) -> AsyncIterator[Post]:
    async with opened_post(database) as opened:
        yield opened


async def test_a_call_is_authorized_made_and_recorded_before_the_job_ends(post: Post) -> None:
    [event] = await post.world.approved()
    job = await post.world.load_send(event)

    outcome = await post.work(job)

    assert isinstance(outcome, Done)
    assert post.sender.arrived == [str(event.intent_id)]
    assert await post.world.state(event) == "accepted"


async def test_a_later_claim_that_finds_the_send_open_at_the_last_moment_calls_nobody(
    post: Post,
) -> None:
    """It was ready when the later claim was loaded; the lost one has begun since."""
    [event] = await post.world.approved()
    lost, later = [await post.world.load_send(event, claim=claim) for claim in (1, 2)]
    later.job_id = lost.job_id
    await post.world.authorize(lost)

    outcome = await post.work(later)
    await post.world.end_send(later, outcome)

    assert isinstance(outcome, Done)
    assert isinstance(outcome.result, NoCall)
    assert post.sender.arrived == []
    assert await post.world.state(event) == "unknown"


async def test_each_end_of_a_call_leaves_the_intent_as_it_should_be(post: Post) -> None:
    ends = [
        (ProviderRefused("550 no such user"), ProviderRefused, "refused"),
        (Unsure("cut after the final dot"), Unsure, "unknown"),
        (Cut("no whole answer"), Unsure, "unknown"),
        (Unreached("connection refused"), Unreached, "ready"),
    ]
    events = await post.world.approved(len(ends))

    for event, (error, raised, state) in zip(events, ends, strict=True):
        post.sender.fails_with = error
        job = await post.world.load_send(event)
        with pytest.raises(raised):
            await post.work(job)
        assert await post.world.state(event) == state


async def test_what_is_held_or_suppressed_reaches_nobody(post: Post) -> None:
    held, suppressed = await post.world.approved(2)
    jobs = [await post.world.load_send(event) for event in (held, suppressed)]
    address = jobs[1].input.to_address
    await post.world.suppress(SuppressionKind.ADDRESS, address, "asked", by="ann")
    refused = await post.work(jobs[1])
    await post.world.hold("ann", "wrong text")

    with pytest.raises(Throttled, match="release"):
        await post.work(jobs[0])

    assert isinstance(refused, Done)
    assert isinstance(refused.result, NoCall)
    assert post.sender.arrived == []
    assert await post.world.state(held) == "ready"
    assert await post.world.state(suppressed) == "cancelled"


async def test_a_cancelled_call_is_unknown_for_it_may_have_arrived(post: Post) -> None:
    [event] = await post.world.approved()
    job = await post.world.load_send(event)
    post.sender.may_answer = anyio.Event()

    async with anyio.create_task_group() as group:
        group.start_soon(post.work, job)
        with anyio.fail_after(5):
            while not post.sender.arrived:
                await anyio.lowlevel.checkpoint()
        group.cancel_scope.cancel()

    assert await post.world.state(event) == "unknown"


async def test_under_load_whatever_arrives_after_hold_answered_was_listed(post: Post) -> None:
    events = await post.world.approved(60)
    jobs = [await post.world.load_send(event) for event in events]
    seen: dict[str, set[str]] = {}
    post.sender.may_answer = anyio.Event()

    async def work(job: ClaimedTask[Any]) -> None:
        try:
            await post.work(job)
        except Throttled:
            return

    async def hold() -> None:
        with anyio.fail_after(5):
            while not post.sender.arrived:
                await anyio.lowlevel.checkpoint()
        status = await post.world.hold("ann", "stop")
        seen["before"] = set(post.sender.arrived)
        seen["listed"] = {str(intent.id) for intent in status.sending}
        post.sender.may_answer.set()

    async with anyio.create_task_group() as group:
        group.start_soon(hold)
        for job in jobs:
            group.start_soon(work, job)

    late = set(post.sender.arrived) - seen["before"]
    counts = (await post.world.sending.status()).counts
    assert late <= seen["listed"]
    assert set(post.sender.arrived) == seen["listed"]
    assert len(post.sender.arrived) == len(set(post.sender.arrived))
    assert counts.get(IntentState.ACCEPTED, 0) == len(post.sender.arrived)
    assert counts.get(IntentState.READY, 0) == 60 - len(post.sender.arrived)


async def test_an_intent_is_called_once_however_many_jobs_try(post: Post) -> None:
    [event] = await post.world.approved()
    jobs = [await post.world.load_send(event) for _ in range(8)]

    async def work(job: ClaimedTask[Any]) -> None:
        try:
            await post.work(job)
        except Throttled:
            return

    async with anyio.create_task_group() as group:
        for job in jobs:
            group.start_soon(work, job)

    assert isinstance(event, MessageApproved)
    assert post.sender.arrived == [str(event.intent_id)]
    assert await post.world.state(event) == "accepted"
