"""Sets of drafts beside these tests: lies, which must not pass, and honest drafts, which should.

`scenarios.json`: who is written to, and what is offered. `lies.txt`: under the name of a scenario
a lie a line, behind the fields it cites (`S` for a subject). `honest.txt`: the parts that honest
drafts are put together of, each written for itself; the claims with the fields they cite.
`letters.json`: honest drafts written as a whole. `unseen_letters.json`: the same, written before
the rules were looked at; some add to their facts or offer, so not all of them should pass.
"""

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from leadflood.contracts.ports.text import Claim, Draft, DraftRequest, NumberedFact
from leadflood.contracts.values import Channel

FOLDER = Path(__file__).with_name("drafts")
Parts = dict[str, list[str]]


class Scenario:
    """Who is written to, and what is offered."""

    def __init__(self, content: dict[str, Any]) -> None:
        self.facts: dict[str, str] = content["facts"]
        self.offer: str = content["offer"]
        self.sender: str = content["sender"]

    @property
    def request(self) -> DraftRequest:
        return DraftRequest(
            subject_id="lead",
            channel=Channel.EMAIL,
            facts=tuple(
                NumberedFact(number, field, text)
                for number, (field, text) in enumerate(self.facts.items(), 1)
            ),
            offer=self.offer,
            sender_name=self.sender,
        )

    def claim(self, text: str, fields: str) -> Claim:
        order = list(self.facts)
        return Claim(text, tuple(order.index(field) + 1 for field in fields.split(",")))

    def fill(self, text: str) -> str:
        for name, value in (*self.facts.items(), ("sender", self.sender), ("offer", self.offer)):
            text = text.replace(f"{{{name}}}", value)
        return text.replace("\\n", "\n")


def scenarios(folder: Path = FOLDER) -> dict[str, Scenario]:
    content = msgspec.json.decode((folder / "scenarios.json").read_bytes())
    return {name: Scenario(each) for name, each in content.items()}


def lies(folder: Path = FOLDER) -> Iterator[tuple[str, DraftRequest, Draft]]:
    """Yield each lie as a draft that says nothing else."""
    worlds = scenarios(folder)
    for name, lines in _sections(folder / "lies.txt").items():
        scenario = worlds[name]
        for line in lines:
            fields, _, text = line.partition(": ")
            is_subject = fields == "S"
            draft = Draft(
                subject=text if is_subject else "A short question",
                body=scenario.offer if is_subject else text,
                claims=(scenario.claim(text, fields),) if fields and not is_subject else (),
            )
            yield f"{name} | {line}", scenario.request, draft


def honest_drafts(count: int, folder: Path = FOLDER) -> Iterator[tuple[str, DraftRequest, Draft]]:
    """Yield drafts that are put together of honest parts, each another way, always the same."""
    dice = random.Random(17)  # noqa: S311 - a choice of texts, no secret
    parts = _sections(folder / "honest.txt")
    worlds = [(name, each) for name, each in scenarios(folder).items() if f"{name} pitch" in parts]
    for number in range(count):
        name, scenario = worlds[number % len(worlds)]
        claims = dice.sample(parts[f"{name} claim"], dice.choice((1, 1, 2, 3)))
        texts = [line.partition(": ")[2] for line in claims]
        pitch = dice.choice(parts[f"{name} pitch"])
        middle = [" ".join(texts), pitch] if dice.random() < 0.8 else [pitch, " ".join(texts)]
        body = "\n\n".join(
            (
                dice.choice(parts["greeting"]),
                *middle,
                " ".join(dice.sample(parts["ask"], dice.choice((1, 1, 2)))),
                dice.choice(parts["closing"]),
            )
        )
        draft = Draft(
            subject=scenario.fill(dice.choice(parts["subject"])),
            body=scenario.fill(body),
            claims=tuple(
                scenario.claim(text, line.partition(": ")[0])
                for line, text in zip(claims, texts, strict=True)
            ),
        )
        yield f"{name} {number}", scenario.request, draft


def letters(
    name: str = "letters.json", folder: Path = FOLDER
) -> Iterator[tuple[str, DraftRequest, Draft]]:
    """Yield the honest drafts that were written as a whole."""
    worlds = scenarios(folder)
    for letter in msgspec.json.decode((folder / name).read_bytes()):
        scenario = worlds[letter["scenario"]]
        claims = [scenario.claim(claim["text"], claim["fields"]) for claim in letter["claims"]]
        draft = Draft(subject=letter["subject"], body=letter["body"], claims=tuple(claims))
        yield f"{letter['scenario']} | {letter['subject']}", scenario.request, draft


def _sections(path: Path) -> Parts:
    parts: Parts = {}
    name = ""
    for line in path.read_text("utf-8").splitlines():
        if line.startswith("# "):
            name = line[2:]
            parts[name] = []
        elif line:
            parts[name].append(line)
    return parts
