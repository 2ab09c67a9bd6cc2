"""What the conformance suite asks of every provider, by port, and the answers each one names."""

import importlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from leadflood.contracts.ports.account import AccountReader
from leadflood.contracts.ports.email import EmailVerifier
from leadflood.contracts.ports.people import (
    PeopleQuery,
    PeopleSource,
    PersonEnricher,
    PersonSubject,
)
from leadflood.contracts.ports.sender import OutgoingMessage, Sender
from leadflood.contracts.ports.text import DraftRequest, NumberedFact, TextWriter
from leadflood.contracts.values import Channel
from typing_extensions import override

from tests.support.tapes import Answer

SUBJECT = PersonSubject(
    subject_id="lead-1",
    first_name="Mira",
    last_name="Okafor",
    full_name="Mira Okafor",
    company_domain="example.com",
)
MESSAGES = {
    Channel.WHATSAPP: OutgoingMessage(
        intent_id="intent-1",
        subject_id="lead-1",
        reference="lf-1",
        channel=Channel.WHATSAPP,
        to="+447700900001",
        template_id="1",
        parameters=("Ada",),
    ),
    Channel.EMAIL: OutgoingMessage(
        intent_id="intent-1",
        subject_id="lead-1",
        reference="<lf-1@example.com>",
        channel=Channel.EMAIL,
        to="ada@example.com",
        from_address="grace@example.com",
        subject="Widgets",
        text="Hello Ada",
    ),
}
DRAFT = DraftRequest(
    subject_id="lead-1",
    channel=Channel.EMAIL,
    facts=(NumberedFact(1, "title", "CTO"),),
    offer="Widgets",
    sender_name="Grace",
)
SINCE = datetime(2026, 1, 1, tzinfo=UTC)


class Samples(msgspec.Struct, frozen=True, kw_only=True):
    """What a provider's test module names as `CONFORMANCE`.

    `hit` and `miss` are its answers about a person, `misses` about two in one call (None: it has
    no such call); `subject` is a person it may be asked for; `throttled` the status by which it
    says wait. `not_over_http` says why the suite, which speaks HTTP, leaves it out.
    """

    hit: Answer | None = None
    miss: Answer | None = None
    misses: Answer | None = None
    subject: PersonSubject = SUBJECT
    throttled: int = 429
    not_over_http: str = ""


def samples_of(provider: str) -> Samples:
    """Return the answers that `tests/providers/test_NAME.py` names."""
    module = importlib.import_module(f"tests.providers.test_{provider}")
    samples = module.CONFORMANCE
    assert isinstance(samples, Samples)
    return samples


class Question(msgspec.Struct, frozen=True):
    """A question through a port; `is_effect`: it does something over there."""

    name: str
    ask: Callable[[Any, Samples], Awaitable[Any]]
    is_effect: bool = False


ENRICH_MANY = Question("enrich many", lambda to, sample: to.enrich_many([sample.subject]))
QUESTIONS: dict[type, tuple[Question, ...]] = {
    PeopleSource: (Question("find people", lambda to, _: to.find_people(PeopleQuery(), None)),),
    PersonEnricher: (Question("enrich", lambda to, sample: to.enrich(sample.subject)), ENRICH_MANY),
    EmailVerifier: (Question("verify", lambda to, _: to.verify("a@example.com", "1")),),
    TextWriter: (Question("write", lambda to, _: to.write_draft(DRAFT)),),
    Sender: (
        Question("send", lambda to, _: to.send(MESSAGES[to.channel]), is_effect=True),
        Question("look up", lambda to, _: to.look_up(MESSAGES[to.channel], SINCE)),
    ),
    AccountReader: (
        Question("check key", lambda to, _: to.check_key()),
        Question("usage", lambda to, _: to.read_usage()),
    ),
}


class Ask(msgspec.Struct, frozen=True):
    """One question to one provider over HTTP."""

    provider: str
    question: Question
    samples: Samples

    @property
    def is_effect(self) -> bool:
        """Whether it does something over there."""
        return self.question.is_effect

    async def run(self, adapter: Any) -> Any:
        """Ask it."""
        return await self.question.ask(adapter, self.samples)

    @override
    def __str__(self) -> str:
        return f"{self.provider} {self.question.name}"


def list_asks(provider: str, ports: dict[type, str]) -> list[Ask]:
    """List every question that a provider's ports take; none where it does not speak HTTP."""
    samples = samples_of(provider)
    if samples.not_over_http:
        return []
    return [
        Ask(provider, question, samples)
        for port in ports
        for question in QUESTIONS[port]
        if question is not ENRICH_MANY or samples.misses is not None
    ]
