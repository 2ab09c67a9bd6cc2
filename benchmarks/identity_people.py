"""People with a known truth: given ones of FEBRL, and generated ones with twins and look-alikes."""

import csv
import random
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from leadflood.contracts.found_values import FoundValue
from leadflood.contracts.normalization.text import name_key
from leadflood.contracts.values import FieldName
from leadflood.domain.leads.schemas.identity import IdentityKey, NewPerson

FEBRL = Path(__file__).parent / "data" / "febrl"
SEEN_AT = datetime(2026, 1, 5, tzinfo=UTC)
_NAMES = """
Ada Ben Carla David Elena Felix Greta Hugo Ines Jonas Karla Luis Maria Nils Olga Paul Rosa Stefan
Tina Ulrich Vera Walter Xenia Yusuf Zoe Anna Bruno Clara Daniel Emma Fabian Gina Henrik Isabel
Jakob Katrin Lars Monika Noah Oskar Petra Rafael Sofia Thomas Ursula Viktor Wanda Yara Zeno Alice
Boris Chiara Dennis Esther Frank Gloria Hannes Irina Julian
"""
_WORD_PARTS = "ber gar hol kam len mar nor pol ras sel tan vel wal bren dorn falk grim hart jans"
_WORD_ENDS = "mann son berg er ski ova dorf feld quist ley ton ard ini ez"
_FIRST, _SYLLABLES, _ENDS = _NAMES.split(), _WORD_PARTS.split(), _WORD_ENDS.split()
_KEEP_PROFILE, _KEEP_PHONE = 0.7, 0.6
"""Who moves to another job keeps their profile, their phone, or both."""
_HALF = 0.5
_TITLES = ("CEO", "CTO", "Head of Sales", "Buyer", "Engineer", "Clerk", "COO", "Office Manager")
_CITIES = ("Bonn", "Oslo", "Lyon", "Graz", "Porto", "Turin", "Leeds", "Ghent", "Brno", "Cork")


class Record(msgspec.Struct, frozen=True):
    """A record of a person; `truth` says who they are."""

    truth: str
    person: NewPerson


def read_febrl(name: str) -> list[Record]:
    """Return the people of a data set; address and date stand beside the name as external keys."""
    with (FEBRL / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        rows = [
            {field.strip(): (cell or "").strip() for field, cell in row.items()}
            for row in csv.DictReader(file)
        ]
    return [_febrl_record(row) for row in rows]


def _febrl_record(row: dict[str, str]) -> Record:
    name = name_key(f"{row['given_name']} {row['surname']}")
    beside = {
        "name_born": row["date_of_birth"],
        "name_street": f"{row['street_number']} {row['address_1']}".strip(),
        "name_house": f"{row['address_2']} {row['postcode']}" if row["address_2"] else "",
        "name_place": f"{row['suburb']} {row['postcode']}" if row["suburb"] else "",
    }
    keys = tuple(IdentityKey(kind, f"{name}|{text}") for kind, text in beside.items() if text)
    values = {FieldName.FIRST_NAME: row["given_name"], FieldName.LAST_NAME: row["surname"]}
    return Record(row["rec_id"].split("-")[1], _person(values, row["rec_id"], keys))


class _Human(msgspec.Struct, frozen=True):
    first: str
    last: str
    domain: str
    company: str
    email: str
    phone: str
    profile: str


def generate(count: int, seed: int) -> list[Record]:
    """Return so many records of people; about one in seven is a person's second or third record.

    Among them are twins with slips of the pen, namesakes at one company, families at one phone,
    people who moved to another job, and mailboxes that several read.
    """
    draw = random.Random(seed)  # noqa: S311 - repeatable
    records: list[Record] = []
    kinds = (_single, _twins, _namesakes, _family, _moved, _mailbox)
    weights = (62, 16, 5, 4, 7, 6)
    while len(records) < count:
        [kind] = draw.choices(kinds, weights)
        group = f"g{len(records)}"
        for number, (who, values) in enumerate(kind(draw, group)):
            person = _person(values, f"{group}-{number}")
            records.append(Record(f"{group}{who}", person))
    del records[count:]
    draw.shuffle(records)
    return records


Values = dict[FieldName, str]


def _single(draw: random.Random, group: str) -> Iterator[tuple[str, Values]]:
    yield "", _full(draw, _human(draw, group))


def _twins(draw: random.Random, group: str) -> Iterator[tuple[str, Values]]:
    human = _human(draw, group)
    yield "", _full(draw, human)
    for _ in range(draw.choice((1, 1, 1, 2))):
        yield "", _changed(draw, human)


def _namesakes(draw: random.Random, group: str) -> Iterator[tuple[str, Values]]:
    human = _human(draw, group)
    for number in range(draw.choice((2, 2, 3))):
        other = msgspec.structs.replace(
            human,
            email=human.email.replace("@", f"{number or ''}@"),
            phone=_phone(draw),
            profile=f"{human.profile}-{number}",
        )
        yield f"/{number}", _full(draw, other)


def _family(draw: random.Random, group: str) -> Iterator[tuple[str, Values]]:
    human = _human(draw, group)
    for number, first in enumerate(draw.sample(_FIRST, 2)):
        other = msgspec.structs.replace(
            human,
            first=first,
            email=f"{first.lower()}-{human.email}" if number else human.email,
            profile=f"{human.profile}-{number}",
        )
        yield f"/{number}", _full(draw, other)


def _moved(draw: random.Random, group: str) -> Iterator[tuple[str, Values]]:
    human = _human(draw, group)
    kept = draw.random()
    firm = _human(draw, f"{group}b")
    moved = msgspec.structs.replace(
        human,
        domain=firm.domain,
        company=firm.company,
        email=f"{human.first.lower()}.{human.last.lower()}@{firm.domain}",
        profile=human.profile if kept < _KEEP_PROFILE else "",
        phone=human.phone if kept >= _KEEP_PHONE else _phone(draw),
    )
    for values in (_full(draw, human), _full(draw, moved)):
        yield (
            "",
            values
            | ({FieldName.LINKEDIN_URL: human.profile} if kept < _KEEP_PROFILE else {})
            | ({FieldName.PHONE: human.phone} if kept >= _KEEP_PHONE else {}),
        )


def _mailbox(draw: random.Random, group: str) -> Iterator[tuple[str, Values]]:
    human = _human(draw, group)
    role = draw.choice(("info", "sales", "office", "kontakt"))
    for number, first in enumerate(draw.sample(_FIRST, 3)):
        other = msgspec.structs.replace(
            human,
            first=first,
            last=_last(draw),
            email=f"{role}@{human.domain}",
            phone=_phone(draw),
            profile=f"{human.profile}-{number}",
        )
        yield f"/{number}", _full(draw, other)


def _human(draw: random.Random, group: str) -> _Human:
    first, last = draw.choice(_FIRST), _last(draw)
    company = f"{_last(draw)} {draw.choice(('Works', 'Foods', 'Systems', 'Logistics', 'Labs'))}"
    domain = f"{company.lower().replace(' ', '-')}{draw.randrange(40)}.com"
    unique = group.removeprefix("g")
    return _Human(
        first=first,
        last=last,
        domain=domain,
        company=company,
        email=f"{first.lower()}.{last.lower()}{unique}@{domain}",
        phone=_phone(draw),
        profile=f"https://www.linkedin.com/in/{first.lower()}-{last.lower()}-{unique}",
    )


def _last(draw: random.Random) -> str:
    return f"{draw.choice(_SYLLABLES)}{draw.choice(_SYLLABLES)}{draw.choice(_ENDS)}".capitalize()


def _phone(draw: random.Random) -> str:
    return f"+4917{draw.randrange(10**8, 10**9)}"


def _full(draw: random.Random, human: _Human) -> Values:
    values = {
        FieldName.FIRST_NAME: human.first,
        FieldName.LAST_NAME: human.last,
        FieldName.EMAIL: human.email,
        FieldName.COMPANY_NAME: human.company,
        FieldName.COMPANY_DOMAIN: human.domain,
        FieldName.TITLE: draw.choice(_TITLES),
        FieldName.CITY: draw.choice(_CITIES),
    }
    if draw.random() < _HALF:
        values[FieldName.PHONE] = human.phone
    if draw.random() < _HALF and human.profile:
        values[FieldName.LINKEDIN_URL] = human.profile
    return values


def _changed(draw: random.Random, human: _Human) -> Values:
    """Return another record of a person as a second list has it."""
    values = _full(draw, human)
    first, last = values[FieldName.FIRST_NAME], values[FieldName.LAST_NAME]
    match draw.choice(("initial", "slip", "short", "no e-mail", "private", "crossed", "no domain")):
        case "initial":
            values[FieldName.FIRST_NAME] = first[0]
        case "slip":
            values[FieldName.LAST_NAME] = _slip(draw, last)
            del values[FieldName.EMAIL]
        case "short":
            values[FieldName.EMAIL] = f"{first[0].lower()}{last.lower()}@{human.domain}"
        case "no e-mail":
            del values[FieldName.EMAIL]
        case "private":
            values[FieldName.EMAIL] = f"{last.lower()}{draw.randrange(10**6)}@gmail.com"
        case "crossed":
            values[FieldName.FIRST_NAME], values[FieldName.LAST_NAME] = last, first
        case _:
            del values[FieldName.COMPANY_DOMAIN], values[FieldName.EMAIL]
            values[FieldName.COMPANY_NAME] = f"{human.company} GmbH"
            values[FieldName.FIRST_NAME] = first.upper()
    return values


def _slip(draw: random.Random, word: str) -> str:
    place = draw.randrange(1, len(word) - 1)
    return draw.choice(
        (
            word[:place] + word[place + 1 :],
            word[:place] + word[place] + word[place:],
            word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :],
        )
    )


def _person(values: Values, evidence: str, keys: tuple[IdentityKey, ...] = ()) -> NewPerson:
    return NewPerson(
        source="csv",
        values=tuple(
            FoundValue(field, text, "csv", "import", SEEN_AT, 0.9, evidence, is_normal=True)
            for field, text in values.items()
            if text
        ),
        keys=keys,
    )
