"""Which columns of a file speak of consent, by all of their cells; and which do not."""

import pytest
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.rows import ReadCsv


def split(words: str) -> list[str]:
    return words.split("|")


def column_of(header: str, cell: str) -> ReadCsv:
    lines = (
        f'email,name,company,"{header}"',
        f'a@a.example,Ann Lee,A,"{cell}"',
        "b@b.example,Bob,B,",
    )
    return read_csv("\n".join(lines).encode())


@pytest.mark.parametrize(
    "pair",
    split(
        "AccountId=001x|Salutation=Mr.|MailingStreet=1 Main St|MailingPostalCode=10115"
        "|LeadSource=Web|Birthdate=1980-01-02|Description=Interested in product|IsDeleted=false"
        "|DoNotCall=false|HasOptedOutOfFax=true|IsEmailBounced=false|CleanStatus=Pending"
        "|LastActivityDate=2024-01-02|PhotoUrl=/x|Level__c=Secondary|Languages__c=English"
        "|Marketing contact status=Marketing contact|Number of times contacted=3"
        "|Last contacted=2024-01-02|Marketing emails opened=4|Marketing emails delivered=5"
        "|Sends Since Last Engagement=0|Email Domain=x.com|Currently in workflow=true"
        "|Became a lead date=2024-01-02|Recent conversion=Form|Time zone=CET|Lead scoring=45"
        "|Buying role=Decision maker|Invalid email address=false|Contact unworked=true"
        "|Message=Hello|Email Sent=True|Email Open=False|Email Bounced=False|Replied=False"
        "|Demoed=False|# Employees=12|Stage=Cold|Account Stage=Cold|Lists=Fair 2024"
        "|Last Contacted=2024-01-01|Email Confidence=99|Email Catch-all Status=Not Catch-all"
        "|Primary Email Verification Source=Apollo|Primary Email Last Verified At=2024-01-02"
        "|Annual Revenue=100000|Intent Topics=CRM|Has intent signals=Yes|Is new=Yes"
        "|Customer=Yes|VIP=No|Active=TRUE|Verified=Yes|Email verified=Yes|Phone verified=No"
        "|Preferred language=de|Preferred contact time=Morning|Payment terms=30 days"
        "|Contract signed=Yes|Credit limit=1000|Order count=3|Orders cancelled=0"
        "|Meeting booked=Yes|Call attempts=2|Call outcome=Connected|Connected on=01 Jan 2024"
        "|Premium=No|Rechnung per E-Mail=Ja|Sprache=Deutsch|Kundennummer=1234|Umsatz=1000"
        "|Anmerkung=Termin vereinbart, ruft zurück|Bemerkungen=War im Urlaub, nicht erreicht"
        "|Angebot versendet=Ja|Zahlungsart=Lastschrift|Newsletter geöffnet=3"
        "|Remarques=A rappeler en septembre|Observaciones=Llamar la semana que viene"
        "|Commenti=Richiamare lunedì|Opmerkingen=Terugbellen na vakantie"
        "|Anteckningar=Ringer upp nästa vecka|Комментарий=Перезвонить в понедельник"
        "|備考=来週電話する"
        "|备注=下周再联系|Notes=Sent email, waiting for reply|Comments=Call back on Monday"
        "|Notes2=Didn't pick up the phone|Notes3=Email bounced, no other contact"
        "|Next step=Send proposal by mail|Pain points=Not enough leads from marketing"
        "|About=Marketing agency without the fluff"
        "|Bio=I never stop learning. Sales, marketing, growth."
        "|Headline=No-nonsense marketing lead|Product=Email archive"
        "|Keywords=email marketing, cold calls, crm|Technologies=Gmail, Mailchimp, Cloudflare"
        "|Tasks=Call|Reply=Not now, contact me in Q3|Seniority=Director|Gender=F|Exclusive=yes"
        "|Blocker=Budget|Block=B|Deal closed=No|Authorized signatory=Yes|License accepted=Yes"
        "|Terms accepted=Yes|Allow portal access=No|Wants demo=Yes|Accepts returns=Yes"
        "|Delivery post=Post|Text=Lorem ipsum|Agreement=MSA|Approved budget=10000"
    ),
)
def test_ordinary_columns_of_exports_are_in_nobodys_way(pair: str) -> None:
    file = column_of(*pair.rsplit("=", 1))

    assert (file.unread_consent, file.opted_out_count) == ((), 0)


@pytest.mark.parametrize("header", ["Phone", "Tel.", "E-Mail", "Mailing", "Reklam"])
@pytest.mark.parametrize("cell", ["nein", "no", "yes"])
def test_a_yes_or_a_no_where_an_address_or_nothing_is_expected_is_asked_about(
    header: str, cell: str
) -> None:
    file = read_csv(f'name,company,mail,"{header}"\nAnn Lee,A,a@a.example,{cell}\n'.encode())

    assert header in file.unread_consent or file.opted_out_count or file.rows[0].consent


@pytest.mark.parametrize(("header", "is_asked"), [("Mailing", True), ("E-Mail", False)])
def test_a_cross_is_an_answer_but_where_an_address_may_be_left_out(
    header: str,
    is_asked: bool,  # noqa: FBT001 - a column of the table
) -> None:
    assert bool(column_of(header, "x").unread_consent) is is_asked
