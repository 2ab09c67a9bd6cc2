"""A pretend world in the process itself: it answers after one real millisecond, by the real gate.

The adapters implement the ports and call `gate.call`, so limits, money, ledger, answer cache and
`authorize` are what they are with real providers; only the wire is missing. Every fourth
company fits the ICP, so a quarter of the leads are HIGH.
"""

import hashlib
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import msgspec
from leadflood.contracts.errors import Unsupported
from leadflood.contracts.found_values import FoundPerson, FoundValue
from leadflood.contracts.ports.email import EmailVerdict
from leadflood.contracts.ports.people import PeoplePage, PeopleQuery, PersonAnswer, PersonSubject
from leadflood.contracts.ports.sender import Arrival, OutgoingMessage, Receipt
from leadflood.contracts.ports.text import Claim, Draft, DraftRequest
from leadflood.contracts.provider_client import canonical
from leadflood.contracts.values import Channel, EmailStatus, FieldName
from leadflood.engine.clock import REAL_TIME, Clock
from leadflood.engine.net.calls import Call, Gate, Reply, Window
from leadflood.engine.net.shares import split_evenly

ANSWER_SECONDS = 0.001
KEEP_SECONDS = 30 * 86_400.0
PRICE_MICROS = 20_000
PEOPLE_A_COMPANY = 4
UNCHECKED_ONE_IN = 20
PLENTY = {"limits": {"any": (Window(60_000_000, 60),)}}

_FIRST = ("Ada", "Alan", "Grace", "Edsger", "Barbara", "Donald", "Frances", "Ken", "Radia", "Tim")
_LAST = ("Keller", "Moreau", "Jansen", "Lindqvist", "Okafor", "Silva", "Novak", "Rossi", "Haas")
_LETTERS = "bcdfghjklmnpqrstvwxz"
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(dict[str, str | int | tuple[str, ...]]).decode
_FIELDS = {str(field): field for field in FieldName}


class MemoryVendor:
    """What the adapters share: one call through the gate, answered after a real millisecond."""

    def __init__(self, name: str, gate: Gate, clock: Clock) -> None:
        self.name = name
        self.gate = gate
        self.clock = clock

    async def ask(  # noqa: PLR0913 - a call's own words
        self,
        operation: str,
        question: Any,
        answer: Any,
        subject: str = "",
        micros: int = 0,
        *,
        effect: bool = False,
        note: Callable[[], None] = lambda: None,
    ) -> Reply:
        """Ask, with the answer that will come; `note` is called when the outside world is."""

        async def send(reference: UUID) -> Reply:
            del reference
            note()
            await REAL_TIME.sleep(ANSWER_SECONDS)
            return Reply(body=_encode(answer), cost_micros=micros)

        call = Call(
            provider=self.name,
            operation=operation,
            question=canonical(question),
            limit="any",
            max_cost_micros=micros,
            subjects=(subject,) if subject else (),
            answer_seconds=KEEP_SECONDS if micros and not effect else 0.0,
            effect=effect,
        )
        return await self.gate.call(call, send)

    def values(self, reply: Reply, method: str, micros: int) -> tuple[FoundValue, ...]:
        """Return an answer as values that share its cost."""
        fields = _decode(reply.body)
        evidence = hashlib.sha256(reply.body).hexdigest()
        at: datetime = reply.observed_at or self.clock.now()
        shares = split_evenly(micros, len(fields))
        name, field_of = self.name, _FIELDS
        return tuple(
            [
                FoundValue(field_of[field], value, name, method, at, 0.9, evidence, share)
                for (field, value), share in zip(fields.items(), shares, strict=True)
            ]
        )


@lru_cache(65_536)
def name_of(n: int) -> tuple[str, str]:
    """Make a name that nobody else at the same company has."""
    family = _LAST[n // 10 % len(_LAST)] + _spell(n)
    return _FIRST[n % len(_FIRST)], family


def _spell(n: int) -> str:
    letters = ""
    while n:
        n, index = divmod(n, len(_LETTERS))
        letters += _LETTERS[index] + "aeiou"[index % 5]
    return letters


@lru_cache(65_536)
def company_of(n: int) -> tuple[str, str]:
    """Make the company of a person: name and domain."""
    word = f"acme{_spell(n // PEOPLE_A_COMPANY + 7)}"
    return word.capitalize(), f"{word}.example"


class MemoryApollo:
    """Finds people, and gives fourteen values of one."""

    gives = frozenset(set(FieldName) - {FieldName.EMAIL, FieldName.EMAIL_STATUS})

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self.name = "apollo"
        self._vendor = MemoryVendor(self.name, gate, clock)

    async def find_people(self, query: PeopleQuery, cursor: str | None) -> PeoplePage:
        """Return the next page; `keywords` says from which person on."""
        begin = int(cursor or query.keywords)
        question = {"from": begin, "count": query.page_size}
        reply = await self._vendor.ask("people.search", question, question)
        people = tuple(self._person(n, reply) for n in range(begin, begin + query.page_size))
        return PeoplePage(people=people, next_cursor=str(begin + query.page_size))

    def _person(self, n: int, reply: Reply) -> FoundPerson:
        first, _ = name_of(n)
        company, _ = company_of(n)
        answer = _encode({"first_name": first, "title": _title(n), "company_name": company})
        values = self._vendor.values(
            Reply(body=answer, observed_at=reply.observed_at), "people.search", 0
        )
        return FoundPerson("apollo", f"p{n}", values)

    def may_ask(self, subject: PersonSubject) -> bool:
        """Whether the person is known here."""
        return "apollo" in subject.provider_ids

    def is_certain(self, subject: PersonSubject) -> bool:
        """Whether the person is known here."""
        return self.may_ask(subject)

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Return all about one person but the address."""
        provider_id = subject.provider_ids["apollo"]
        n = int(provider_id[1:])
        reply = await self._vendor.ask(
            "people.match", {"id": provider_id}, _profile(n), subject.subject_id, PRICE_MICROS
        )
        return PersonAnswer(
            found=True,
            values=self._vendor.values(reply, "people.match", reply.cost_micros),
            provider_id=provider_id,
            cost_micros=reply.cost_micros,
            cached=reply.cached,
        )

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Refuse: there is no bulk call."""
        raise Unsupported(f"{len(subjects)} at once are not answered here")


def _title(n: int) -> str:
    return ("VP Operations", "Head of Operations", "Operations Director", "COO")[n % 4]


def is_fit(n: int) -> bool:
    """Whether a person's company fits the ICP; every fourth does."""
    return n // PEOPLE_A_COMPANY % 4 == 0


def _profile(n: int) -> dict[str, Any]:
    first, last = name_of(n)
    company, domain = company_of(n)
    return {
        "full_name": f"{first} {last}",
        "first_name": first,
        "last_name": last,
        "title": _title(n),
        "linkedin_url": f"https://www.linkedin.com/in/{first}-{last}-{n}".lower(),
        "city": "Berlin",
        "country": "DE",
        "company_name": company,
        "company_domain": domain,
        "company_industry": "robotics" if is_fit(n) else "retail",
        "company_size": 400,
        "company_country": "DE",
        "company_technologies": ["SAP", "Salesforce"] if is_fit(n) else ["Excel"],
        "company_founded": 1999,
    }


class MemoryHunter:
    """Finds and checks addresses."""

    gives = frozenset({FieldName.EMAIL, FieldName.EMAIL_STATUS})

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self.name = "hunter"
        self._vendor = MemoryVendor(self.name, gate, clock)

    def may_ask(self, subject: PersonSubject) -> bool:
        """Whether a name and a domain are known."""
        return bool(subject.last_name and subject.company_domain)

    def is_certain(self, _subject: PersonSubject) -> bool:
        """Never: it asks by a name and a domain."""
        return False

    async def enrich(self, subject: PersonSubject) -> PersonAnswer:
        """Return the address; for one in twenty its status is not known."""
        address = f"{subject.first_name}.{subject.last_name}@{subject.company_domain}".lower()
        answer = {"email": address, "email_status": "valid"}
        if subject.last_name[-1:] == "o" and len(address) % UNCHECKED_ONE_IN == 0:
            del answer["email_status"]
        question = [subject.first_name, subject.last_name, subject.company_domain]
        reply = await self._vendor.ask(
            "email.find", question, answer, subject.subject_id, PRICE_MICROS
        )
        return PersonAnswer(
            found=True,
            values=self._vendor.values(reply, "email.find", reply.cost_micros),
            cost_micros=reply.cost_micros,
            cached=reply.cached,
        )

    async def enrich_many(self, subjects: Sequence[PersonSubject]) -> Sequence[PersonAnswer]:
        """Refuse: there is no bulk call."""
        raise Unsupported(f"{len(subjects)} at once are not answered here")

    async def verify(self, email: str, subject_id: str) -> EmailVerdict:
        """Return that the address works."""
        answer = {"email_status": "valid"}
        reply = await self._vendor.ask("email.verify", email, answer, subject_id, PRICE_MICROS)
        (value,) = self._vendor.values(reply, "email.verify", reply.cost_micros)
        return EmailVerdict(
            status=EmailStatus.VALID,
            observed_at=value.observed_at,
            value=value,
            cost_micros=reply.cost_micros,
            cached=reply.cached,
        )


class MemoryWriter:
    """Writes a letter in which each sentence stands on a fact."""

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self.name = "openai"
        self._vendor = MemoryVendor(self.name, gate, clock)

    async def write_draft(self, request: DraftRequest) -> Draft:
        """Write one draft."""
        facts = {fact.field: fact for fact in request.facts}
        first, company = facts["first_name"], facts["company_name"]
        offer = request.offer.rstrip(".")
        claims = (
            Claim(f"Hello {first.text},", (first.number,)),
            Claim(
                f"I thought this might be interesting for {company.text}: {offer}. "
                f"Would a short call suit you?\n\nBest regards,\n{request.sender_name}",
                (company.number,),
            ),
        )
        body = "\n\n".join(claim.text for claim in claims)
        reply = await self._vendor.ask("text.write", body, {"body": body}, request.subject_id, 500)
        return Draft(
            subject=f"A question for {company.text}",
            body=str(_decode(reply.body)["body"]),
            claims=claims,
            writer="openai:memory",
            cost_micros=reply.cost_micros,
        )


class MemorySender:
    """Accepts every e-mail, and counts how often each came."""

    channel = Channel.EMAIL

    def __init__(self, gate: Gate, clock: Clock) -> None:
        self.name = "smtp"
        self._vendor = MemoryVendor(self.name, gate, clock)
        self.taken: Counter[str] = Counter()

    async def send(self, message: OutgoingMessage) -> Receipt:
        """Accept one message."""
        question = [message.intent_id, message.reference]
        await self._vendor.ask(
            "message.send",
            question,
            {"taken": True},
            message.subject_id,
            100,
            effect=True,
            note=lambda: self.taken.update([message.reference]),
        )
        return Receipt(remote_id=message.reference)

    async def look_up(self, message: OutgoingMessage, since: datetime) -> Arrival:
        """Return whether it came."""
        del since
        return Arrival.SENT if message.reference in self.taken else Arrival.NOT_SENT


def build_adapters(
    settings: object, gate: Gate, http: object, clock: Clock, _currency: str
) -> dict[str, Any]:
    """Stand in for `catalog.build_adapters`: the same names, answered from memory."""
    del settings, http
    return {
        "apollo": MemoryApollo(gate, clock),
        "hunter": MemoryHunter(gate, clock),
        "openai": MemoryWriter(gate, clock),
        "smtp": MemorySender(gate, clock),
    }
