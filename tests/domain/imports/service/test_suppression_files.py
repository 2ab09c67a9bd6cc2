import io
from pathlib import Path

import pytest
from leadflood.domain.imports.service.suppression_files import (
    SuppressionFile,
    read_suppression_file,
)
from leadflood.engine.errors import Invalid

MESSY = Path(__file__).parents[1] / "data" / "messy_leads"


def read(*lines: str) -> SuppressionFile:
    return read_suppression_file(io.BytesIO("\n".join(lines).encode()))


def values_of(file: SuppressionFile) -> list[str]:
    return [line.value for line in file.lines]


@pytest.mark.parametrize(
    ("lines", "values"),
    [
        (["ann@a.example"], ["ann@a.example"]),
        (["# ours", "ann@a.example", "b.example"], ["ann@a.example", "b.example"]),
        (["+31620000001", "0031 620 000 002"], ["+31620000001", "0031 620 000 002"]),
        (["Name;E-Mail;Web", "Ann;ann@a.example;a.example"], ["ann@a.example"]),
        (["domain", "a.example", "@b.example"], ["a.example", "@b.example"]),
        (["Name,Telefon", "Ann,+31620000001"], ["+31620000001"]),
        (["email", "Ann <ann@a.example>; bob@b.example"], ["ann@a.example", "bob@b.example"]),
        (["Ann Lee,ann@a.example", "Bob Doe,bob@b.example"], ["ann@a.example", "bob@b.example"]),
        (["email,Email Opt Out", "ann@a.example,1", "bob@a.example,0"], ["ann@a.example"]),
        (["email,Status", "ann@a.example,cleaned", "bob@a.example,subscribed"], ["ann@a.example"]),
    ],
)
def test_lists_and_tables_are_read(lines: list[str], values: list[str]) -> None:
    assert values_of(read(*lines)) == values


def test_the_unsubscribed_of_a_mail_tool_are_read() -> None:
    with (MESSY / "consent_mailchimp_unsubscribed.csv").open("rb") as handle:
        file = read_suppression_file(handle)

    assert values_of(file) == ["lea@mc.example", "max@mc.example"]
    assert (file.column, file.unmarked_count) == ("Email Address", 1)


def test_a_table_without_an_address_is_refused() -> None:
    with pytest.raises(Invalid, match="call it email, phone, domain or value"):
        read("First Name,City", "Ann,Berlin", "Bob,Paris")
