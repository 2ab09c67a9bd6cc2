"""What files say of consent: headers and cells of many languages and tools."""

from pathlib import Path

import pytest
from leadflood.contracts.values import Channel, FieldName, OptOutChannel
from leadflood.contracts.word_files import read_tables
from leadflood.domain.imports.rules.consent_columns import (
    guess_consent_field,
    guess_status_field,
    speaks_of_consent,
    touches_consent,
)
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.column_fields import ColumnField
from leadflood.domain.imports.schemas.columns import ColumnChoice, NoOptIn
from leadflood.domain.imports.schemas.rows import ImportRow, ReadCsv
from tests.support.consent import refusing_addresses

MESSY = Path(__file__).parents[1] / "data" / "messy_leads"
PEOPLE = ("ann@a.example", "bob@b.example", "cid@c.example")
ALL, EMAIL = frozenset({OptOutChannel.ALL}), frozenset({OptOutChannel.EMAIL})


def split(words: str) -> list[str]:
    return words.split("|")


def read(*lines: str, choice: ColumnChoice | None = None) -> ReadCsv:
    raw = "\n".join(lines).encode()
    return read_csv(raw) if choice is None else read_csv(raw, choice)


def column_of(header: str, *cells: str) -> ReadCsv:
    rows = [f"{person},{cell}" for person, cell in zip(PEOPLE, cells, strict=False)]
    return read(f"email,{header}", *rows)


def the_row(header: str, cell: str) -> ImportRow:
    return column_of(header, cell).rows[0]


@pytest.mark.parametrize(
    ("header", "field"),
    [
        ("Email Opt Out", "opt_out"),
        ("HasOptedOutOfEmail", "opt_out"),
        ("email_opt_out__c", "opt_out"),
        ("Opted out of email: Marketing Information", "opt_out"),
        ("Unsubscribed from all email", "opt_out"),
        ("Do Not Contact", "opt_out"),
        ("DoNotCall", "opt_out"),
        ("Do not allow Bulk Emails", "opt_out"),
        ("Don't e-mail", "opt_out"),
        ("is_unsubscribed", "opt_out"),
        ("UNSUB_TIME", "opt_out"),
        ("EMAIL_BLOCKLISTED", "opt_out"),
        ("Suppressed?", "opt_out"),
        ("Werbesperre", "opt_out"),
        ("Newsletter abbestellt", "opt_out"),
        ("Darf nicht kontaktiert werden", "opt_out"),
        ("Keine E-Mail", "opt_out"),
        ("Désabonné", "opt_out"),
        ("Ne pas contacter", "opt_out"),
        ("Désinscription newsletter", "opt_out"),
        ("No contactar", "opt_out"),
        ("Dado de baja", "opt_out"),
        ("Non contattare", "opt_out"),
        ("Disiscritto", "opt_out"),
        ("Afgemeld", "opt_out"),
        ("Niet mailen", "opt_out"),
        ("Não contatar", "opt_out"),
        ("Descadastrado", "opt_out"),
        ("Nie kontaktować", "opt_out"),
        ("Brak zgody", "opt_out"),
        ("Avregistrerad", "opt_out"),
        ("Kontakta ej", "opt_out"),
        ("Afmeldt nyhedsbrev", "opt_out"),
        ("Markkinointikielto", "opt_out"),
        ("Nekontaktovat", "opt_out"),
        ("Отписан", "opt_out"),
        ("Не звонить", "opt_out"),  # noqa: RUF001 - it is Russian
        ("Reklame nej tak", "opt_out"),
        ("配信停止", "opt_out"),
        ("メール不可", "opt_out"),
        ("退订", "opt_out"),
        ("Opt-in", "opt_in"),
        ("Email Opt-In", "opt_in"),
        ("May contact", "opt_in"),
        ("Newsletter", "opt_in"),
        ("Accepts Email Marketing", "opt_in"),
        ("Einwilligung", "opt_in"),
        ("Consentement", "opt_in"),
        ("Consenso marketing", "opt_in"),
        ("Toestemming", "opt_in"),
        ("Zgoda marketingowa", "opt_in"),
        ("Согласие", "opt_in"),
        ("OPTIN_TIME", "opt_in_at"),
        ("Consent date", "opt_in_at"),
        ("Einwilligung am", "opt_in_at"),
        ("Consent text", "opt_in_wording"),
        ("Opt-in Quelle", "opt_in_wording"),
    ],
)
def test_headers_of_consent_are_known(header: str, field: str) -> None:
    assert guess_consent_field(header) == field
    assert speaks_of_consent(header)


@pytest.mark.parametrize(
    "header", ["GDPR", "DSGVO", "RGPD", "Legal basis", "Opt-in/Opt-out", "Contact preferences"]
)
def test_a_header_that_may_mean_either_is_no_guess(header: str) -> None:
    assert guess_consent_field(header) is None
    assert speaks_of_consent(header)


@pytest.mark.parametrize(
    "header",
    split(
        "Email|E-Mail-Adresse|Phone|Contact|Company|Fax Opt Out|Mailing Street"
        "|Mailing Country|Call Notes|Number of Employees|Contact Owner|Marketing Manager"
    ),
)
def test_other_headers_do_not_speak_of_consent(header: str) -> None:
    assert not speaks_of_consent(header)


@pytest.mark.parametrize("field", [field for field in ColumnField if field.value_field is not None])
def test_no_header_of_a_value_speaks_of_consent(field: ColumnField) -> None:
    table = read_tables("columns.toml").get(field, {})

    words = [word for text in table.values() for word in text.split("|")]

    assert [word for word in words if touches_consent(word)] == []


@pytest.mark.parametrize(
    "yes",
    split(
        "1|1.0|yes|Y|x|X|TRUE|true|ja|Ja|oui|Sí|si|wahr|VERO|sim|tak|kyllä|ano|да|はい|✓|✔"
        "|checked|2024-05-01|01.05.2024 10:00|opted out|Unsubscribed|DO NOT CONTACT"
        "|abgemeldet"
    ),
)
def test_a_truthy_cell_of_an_opt_out_is_a_no(yes: str) -> None:
    row = the_row("Email Opt Out", yes)

    assert [statement.channels for statement in row.consent] == [EMAIL]
    assert row.consent[0].evidence == f"Email Opt Out: {yes!r}"
    assert row.notes == ()


@pytest.mark.parametrize(
    "no",
    split(
        "0|0.0|no|N|FALSE|nein|non|Falso|nee|não|nie|nej|ei|нет|いいえ||-|n/a|NULL|None"
        "|Allow|subscribed|opted in"
    ),
)
def test_a_falsy_or_empty_cell_of_an_opt_out_says_nothing(no: str) -> None:
    assert the_row("Email Opt Out", no).consent == ()


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("Opt in", "no"),
        ("May contact", "No"),
        ("Newsletter", "nein"),
        ("Consent", "withdrawn"),
        ("Einwilligung", "widerrufen"),
        ("Email Marketing Consent", "UNSUBSCRIBED"),
        ("Opt in", "declined"),
        ("Marketing consent", "opted out"),
        ("May contact", "0"),
        ("Allow email", "FALSE"),
        ("Accepts Email Marketing", "0"),
        ("Darf kontaktiert werden", "falsch"),
        ("Puede ser contactado", "0"),
        ("Consentement", "refusé"),
        ("Do not allow Emails", "Do Not Allow"),
        ("同意", "不同意"),
        ("メルマガ", "不要"),
    ],
)
def test_a_refused_opt_in_is_a_no(header: str, cell: str) -> None:
    assert [statement.agrees for statement in the_row(header, cell).consent] == [False]


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        ("Opt in", "0"),
        ("Email Opt-In", "FALSE"),
        ("Marketing consent", "false"),
        ("Newsletter", "0.0"),
        ("Is subscriber", "off"),
        ("Einwilligung", "falsch"),
        ("Consentement", "faux"),
        ("Consenso marketing", "0"),
        ("Zgoda marketingowa", "fałsz"),
        ("Согласие", "ложь"),
        ("同意", "0"),
        ("Email Marketing Consent", "NEVER_SUBSCRIBED"),
        ("Opt in", "not opted in"),
    ],
)
def test_an_unticked_box_of_an_opt_in_is_no_refusal_and_no_agreement(
    header: str, cell: str
) -> None:
    file = column_of(header, cell, "yes", cell)

    assert [row.consent for row in file.rows][::2] == [(), ()]
    assert [statement.agrees for statement in file.rows[1].consent] == [True]
    assert f"2 cells such as {cell!r} are taken as nobody asked" in file.warnings[0]


@pytest.mark.parametrize("cell", ["0", "false", "No", "nein", "not subscribed"])
@pytest.mark.parametrize("header", ["Opt in", "May contact"])
@pytest.mark.parametrize("choice", NoOptIn)
def test_what_a_no_of_an_opt_in_says_can_be_chosen(header: str, cell: str, choice: NoOptIn) -> None:
    lines = [f"email,{header}", f"{PEOPLE[0]},{cell}", f"{PEOPLE[1]},opted out"]

    file = read(*lines, choice=ColumnChoice(no_opt_in=choice))

    refused = PEOPLE[:2] if choice is NoOptIn.REFUSED else PEOPLE[1:2]
    assert refusing_addresses(file) == set(refused)
    assert not file.warnings


def test_a_no_in_words_to_an_opt_in_is_told() -> None:
    (warning,) = column_of("Opt in", "No", "yes", "No").warnings

    assert "column 'Opt in': 2 cells such as 'No' are taken as a no" in warning
    assert "`noOptIn: not_asked`" in warning


@pytest.mark.parametrize("header", ["Email Opt Out", "Opt in", "Newsletter", "Werbesperre"])
@pytest.mark.parametrize("cell", ["maybe", "?", "see notes", "unbekannt", "❌"])
def test_a_cell_that_is_not_understood_is_a_no_with_a_note(header: str, cell: str) -> None:
    file = column_of(header, "yes", "no", cell)

    row = file.rows[2]

    assert [statement.agrees for statement in row.consent] == [False]
    assert [note.partition(": ")[2] for note in row.notes] == [
        f"{cell!r} is not understood: taken as a no"
    ]


@pytest.mark.parametrize(
    ("header", "cell", "channels"),
    [
        ("Do Not Call", "1", {"phone"}),
        ("WhatsApp opt-out", "yes", {"whatsapp"}),
        ("SMS opt out", "yes", {"phone"}),
        ("Do Not Contact", "yes", {"all"}),
        ("Opt out", "email; phone", {"email", "phone"}),
        ("Opt out", "E-Mail und Telefon", {"email", "phone"}),
        ("Opt out", "all channels", {"all"}),
        ("Newsletter", "no", {"email"}),
        ("Status", "Unsubscribed", {"all"}),
    ],
)
def test_a_no_is_to_the_channels_that_it_names(header: str, cell: str, channels: set[str]) -> None:
    assert {name for each in the_row(header, cell).consent for name in each.channels} == channels


@pytest.mark.parametrize(
    ("header", "cell", "rating"),
    [
        ("Email Status", "accept_all", "catch_all"),
        ("Email Status", "catchall", "catch_all"),
        ("ZB Status", "catch-all", "catch_all"),
        ("Email Status", "risky", "unknown"),
        ("Email Status", "role", "unknown"),
        ("Verification result", "deliverable", "valid"),
        ("NeverBounce Result", "invalid", "invalid"),
        ("Email Status", "undeliverable", "invalid"),
        ("Email Bounced", "true", "invalid"),
        ("Lead Status", "Bounced", "invalid"),
        ("Lead Status", "Valid", None),
        ("Lead Status", "Inactive", None),
    ],
)
def test_words_of_verifiers_rate_the_address(header: str, cell: str, rating: str | None) -> None:
    row = the_row(header, cell)

    assert row.values.get("email_status") == rating  # type: ignore[call-overload]
    assert row.consent == ()


@pytest.mark.parametrize("header", ["Status", "Lead Status", "Email Status", "Mailchimp Status"])
@pytest.mark.parametrize(
    ("cell", "is_of_address"),
    [
        ("unsubscribed", False),
        ("Complained", False),
        ("SPAM", False),
        ("Do Not Contact", False),
        ("hard_bounce", True),
        ("spamtrap", True),
        ("abuse", True),
        ("disposable", True),
        ("Closed - Not Interested", False),
    ],
)
def test_words_of_a_status_suppress(header: str, cell: str, is_of_address: bool) -> None:  # noqa: FBT001 - a column of the table
    (statement,) = the_row(header, cell).consent

    assert (statement.agrees, statement.is_of_address) == (False, is_of_address)


@pytest.mark.parametrize("cell", ["do_not_mail", "do-not-mail", "DO NOT MAIL"])
def test_a_verdict_is_on_an_address_and_a_status_on_a_person(cell: str) -> None:
    (verdict,) = the_row("ZB Status", cell).consent
    (status,) = the_row("Lead Status", cell).consent

    assert (verdict.is_of_address, status.is_of_address) == (True, False)


def test_other_words_of_a_status_are_left_alone() -> None:
    file = column_of("Status", "Open", "Working - Contacted", "No contact made")

    assert [row.consent for row in file.rows] == [(), (), ()]
    assert [row.notes for row in file.rows] == [(), (), ()]


def test_a_column_of_any_name_whose_cells_are_a_no_is_a_status() -> None:
    rows = [f"p{n}@x.example,{'unsubscribed' if n == 80 else 'gold'}" for n in range(100)]

    file = read("email,Tier", *rows)

    assert file.fields[1] == "contact_status"
    assert refusing_addresses(file) == {"p80@x.example"}
    assert file.unread_consent == ()


def test_a_name_that_is_also_a_word_of_a_list_is_a_name() -> None:
    row = read("Last Name,Email,Company", "Robinson,r@a.example,Baja").rows[0]

    assert row.values[FieldName.LAST_NAME] == "Robinson"
    assert row.consent == ()


def test_counts_of_mails_say_nothing_of_consent() -> None:
    file = column_of("Newsletter opens", "0", "3", "0")

    assert (refusing_addresses(file), file.unread_consent) == (set(), ())


def test_a_link_to_unsubscribe_is_neither_an_answer_nor_a_site() -> None:
    file = column_of("Unsubscribe URL", *(f"https://x.example/u/{n}" for n in range(3)))

    assert (file.fields[1], file.unread_consent, refusing_addresses(file)) == (None, (), set())


def test_a_column_of_verdicts_is_known_by_its_cells() -> None:
    file = column_of("result", "deliverable", "risky", "do_not_mail")

    assert file.fields[1] == "email_status"
    assert refusing_addresses(file) == {"cid@c.example"}


def test_a_no_within_a_text_is_named_to_a_person() -> None:
    lines = ("email,Notes", "ann@a.example,wrote: please do not contact me again")

    file = read(*lines)
    ignored = read(*lines, choice=ColumnChoice(ignored_consent=("Notes",)))
    mapped = read(*lines, choice=ColumnChoice(changes={"Notes": ColumnField.CONTACT_STATUS}))

    assert (file.unread_consent, refusing_addresses(file)) == (("Notes",), set())
    assert (ignored.unread_consent, refusing_addresses(ignored)) == ((), set())
    assert (mapped.unread_consent, refusing_addresses(mapped)) == ((), {"ann@a.example"})


def test_a_header_whose_cells_do_not_fit_is_not_believed() -> None:
    file = column_of("Newsletter", "Weekly digest", "Monthly", "Product news")

    assert file.fields[1] is None
    assert file.unread_consent == ("Newsletter",)
    assert refusing_addresses(file) == set()


def test_a_column_of_consent_that_is_empty_is_in_nobodys_way() -> None:
    assert column_of("GDPR", "", "", "").unread_consent == ()
    assert column_of("GDPR", "ok", "", "").unread_consent == ("GDPR",)


def test_an_opt_out_read_as_an_opt_in_is_unread() -> None:
    choice = ColumnChoice(changes={"Email Opt Out": ColumnField.OPT_IN})

    file = read("email,Email Opt Out", "ann@a.example,yes", choice=choice)

    assert file.unread_consent == ("Email Opt Out",)


def test_a_no_in_the_place_of_a_name_is_no_name() -> None:
    row = read("first name,email,company", "DO NOT CONTACT,ann@a.example,A").rows[0]

    assert "first_name" not in row.values
    assert [statement.channels for statement in row.consent] == [ALL]


@pytest.mark.parametrize(
    "line",
    [
        "no address,1,x",
        "ann@a.example,Acme, Inc,1",
        "ann@a.example,unsubscribed,too,many",
    ],
)
def test_a_no_of_a_bad_row_counts(line: str) -> None:
    file = read("email,company,Do Not Contact", "bob@b.example,B,0", "x@y.example,C,0", line)

    assert len(file.bad) == 1
    assert file.bad[0].consent


def test_every_address_of_a_row_is_meant() -> None:
    file = read("Email,Email 2,Phone,Unsubscribed", "a@a.example,b@b.example,+4930123456,1")

    assert set(file.rows[0].addresses) == {
        (Channel.EMAIL, "a@a.example"),
        (Channel.EMAIL, "b@b.example"),
        (Channel.WHATSAPP, "+4930123456"),
    }


def test_the_numbers_of_a_row_are_read_as_its_values_are() -> None:
    file = read("Name,Country,Mobile,Phone,DNC", "Ann Lee,DE,0151 23456789,030 123456,1")

    assert set(file.rows[0].addresses) == {
        (Channel.WHATSAPP, "+4915123456789"),
        (Channel.WHATSAPP, "+4930123456"),
    }


def test_a_tag_says_no() -> None:
    file = read("email,Tags", 'ann@a.example,"vip, do not contact"', "bob@b.example,vip")

    assert refusing_addresses(file) == {"ann@a.example"}


def test_an_agreement_keeps_its_words_and_its_time() -> None:
    file = read(
        "email,Opt-in,Opt-in date,Consent text",
        "ann@a.example,yes,2024-03-01,I want the letter",
        "bob@b.example,yes,03/04/2024,I want the letter",
        "cid@c.example,,,",
        "dan@d.example,yes,31.12.2023,",
    )
    (agreement,) = file.rows[0].consent

    assert (agreement.agrees, agreement.channels) == (True, EMAIL)
    assert agreement.wording == "I want the letter"
    assert f"{agreement.obtained_at:%Y-%m-%d}" == "2024-03-01"
    assert file.rows[1].consent == ()
    assert file.rows[1].notes[0].startswith("opt_in_at: '03/04/2024'")
    assert file.rows[2].consent == ()
    assert file.rows[3].consent[0].wording == "Opt-in: 'yes'"


def test_a_status_of_a_tool_and_a_plain_one_are_told_apart() -> None:
    assert guess_status_field("ZB Status") == "email_status"
    assert guess_status_field("Lead Status") == "contact_status"
    assert guess_status_field("City") is None


EXPORTS = {
    "k01_optout_salesforce.csv": {"ola@k1a-t0.com", "uno@k1c-t0.com"},
    "consent_hubspot.csv": {"jo@hub.example", "kim@hub.example"},
    "consent_mailchimp_unsubscribed.csv": {"lea@mc.example", "max@mc.example"},
    "consent_zerobounce.csv": {"abe@zb.example", "spam@zb.example"},
    "consent_apollo.csv": {"ida@ap.example", "jan@ap.example"},
    "consent_instantly.csv": {"olga@in.example", "per@in.example"},
    "consent_dynamics.csv": {"ria@dy.example"},
    "consent_german.csv": {"uta@de.example", "vera@de.example", "willi@de.example"},
    "consent_french.csv": {"zoe@fr.example", "alix@fr.example"},
    "consent_spanish.csv": {"eva@es.example", "fito@es.example"},
    "consent_dutch.csv": {"bram@nl.example", "fleur@nl.example"},
    "consent_japanese.csv": {"sato@jp.example"},
}


@pytest.mark.parametrize(("name", "expected"), EXPORTS.items())
def test_exports_of_tools_and_countries_say_no_for_whom_they_mark(
    name: str, expected: set[str]
) -> None:
    file = read_csv((MESSY / name).read_bytes())

    assert refusing_addresses(file) == expected
    assert file.unread_consent == ()
    assert len(file.rows) + len(file.bad) > len(expected)
