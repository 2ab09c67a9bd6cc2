"""Headers, cells and texts about consent that no list has as they are."""

import pytest
from leadflood.contracts.values import Channel
from leadflood.domain.imports.rules.consent_parts import Meaning, read_parts
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.columns import ColumnChoice
from leadflood.domain.imports.schemas.rows import BadRow, ImportRow, ReadCsv

NOBODY = "ann@a.example"


def split(words: str) -> list[str]:
    return words.split("|")


def read(*lines: str) -> ReadCsv:
    return read_csv("\n".join(lines).encode())


def column_of(header: str, cell: str, other: str = "") -> ReadCsv:
    return read(f'email,"{header}"', f'{NOBODY},"{cell}"', f'bob@b.example,"{other}"')


def stopped(file: ReadCsv) -> set[str]:
    """Return the addresses that a file suppresses."""
    rows: list[ImportRow | BadRow] = [*file.rows, *file.bad]
    return {
        address
        for row in rows
        if any(not statement.agrees for statement in row.consent)
        for channel, address in row.addresses
        if channel is Channel.EMAIL
    }


def is_noticed(file: ReadCsv) -> bool:
    """Whether the one who says no is suppressed, or the start asks."""
    return bool(file.unread_consent) or NOBODY in stopped(file)


HEADERS = {
    "no": "İletişim izni=Hayır|E-posta izni=Hayır|Pazarlama izni=Hayır|Autorise le contact=Non"  # noqa: RUF001 - words of other scripts
    "|Autorizzazione=No|Permiso de contacto=No|Autorización=No|Aceita contato=Não|営業メール=不可"
    "|可联系=否|Mailing=Nein|Marketable=No|Receives marketing=No|メール配信=希望しない"
    "|メール配信=停止|メール可否=×|DM=不可|案内=不要|Zgoda na newsletter=nie|Lupa soittaa=ei"  # noqa: RUF001 - words of other scripts
    "|Souhlas s obchodními sděleními=ne|Разрешена рассылка=нет|Згода на розсилку=ні"
    "|Acord marketing=nu|Hozzájárulás e-mailhez=nem|Συγκατάθεση επικοινωνίας=όχι"
    "|이메일 수신 동의=아니오|Samtycke till utskick=nej|Mag gebeld=nee|OK to phone?=No"
    "|Commercial e-mail allowed?=no|Kontakt erwünscht=nein|E-Mail (1=ja 2=nein)=2",
    "date": "Afmelddatum|Uitschrijfdatum|Data de cancelamento|Data wypisania|Avregistreringsdatum"
    "|Дата отписки|Complaint date|Uitgeschreven op|Abmeldedatum|Fecha de baja"
    "|Fecha de desuscripción|Newsletter gekündigt am|メルマガ解除日|Dezabonat la"
    "|Leiratkozás dátuma|Left mailing list on",
    "yes": "Vill ej ha reklam|Vill inte bli kontaktad|Önskar ej reklam|Ej reklam"
    "|Ønsker ikke reklame|Reserveret mod reklame|Ei mainontaa|Reklam istemiyor|İletişime geçme"
    "|Arama engeli|No pubblicità|Pas de pub|Refus démarchage|Sem contato|Cancelado|Cancellato"
    "|Kein Mailing|DM不要|ブラックリスト|Blocked|Is Blocked|Blocked?|Excluded|Exclude|Remove"
    "|Removed|Erased|STOP|Mail stop|Geblokkeerd|Bloqué|Bloccato|Bloqueado|Zablokowany|Spärr"
    "|donotbulkemail|donotphone|emailoptout|EMAILOPTEDOUT|IsOptedOutSMS|NoBulkMail"
    "|dontsendnewsletter|Hates cold calls|Mailstopp|Contact interdit|Rechaza publicidad"
    "|Rifiuta comunicazioni|Wil geen reclame ontvangen|Recusa contato|Sprzeciw wobec marketingu"
    "|Ønsker ikke opkald|Kielsi markkinoinnin|Zákaz volání|Отказ от звонков|Не телефонувати"  # noqa: RUF001 - words of other scripts
    "|SMS istemiyorum|営業電話お断り|不接收邮件|광고 수신거부|Nu dorește apeluri"
    "|Nem kér hírlevelet|Δεν θέλει email|Διαγραφή από λίστα",
}


@pytest.mark.parametrize(
    ("header", "cell"),
    [
        *[pair.rsplit("=", 1) for pair in split(HEADERS["no"])],
        *[(header, "2024-01-02") for header in split(HEADERS["date"])],
        *[(header, "yes") for header in split(HEADERS["yes"])],
    ],
)
def test_a_header_is_noticed_by_its_parts(header: str, cell: str) -> None:
    file = column_of(header, cell)

    assert is_noticed(file)
    assert not any(statement.agrees for row in file.rows for statement in row.consent)


@pytest.mark.parametrize(
    "header",
    split(
        "Contact No|Phone No.|No. de contacto|Mailing Street|Block|Title|Ort|Puesto|Stadt"
        "|Object ID|Email|Telefon|Kontakt|Marketing Manager|Company|Campaign|Newsroom"
    ),
)
def test_other_headers_have_no_parts_of_consent(header: str) -> None:
    assert column_of(header, "12 345", "12 346").unread_consent == ()


@pytest.mark.parametrize("header", split("Blocked|IsDeleted|Removed|Is Blocked|EMAILOPTEDOUT"))
@pytest.mark.parametrize("cell", ["false", "0", "No"])
def test_where_nobody_is_blocked_nobody_is_asked(header: str, cell: str) -> None:
    file = column_of(header, cell, cell)

    assert (file.unread_consent, stopped(file)) == ((), set())


def test_one_who_left_a_list_has_not_agreed_to_it() -> None:
    assert read_parts("Newsletter gekündigt am") is Meaning.OPT_OUT
    assert column_of("Newsletter gekündigt am", "01.02.2024").fields[1] is None


STATUSES = split(
    "Disiscritto|Cancellato|Wypisany|Baja|Desuscrito|Cancelado|Gesperrt|Kein Kontakt"
    "|Abonnement gekündigt|Robinson|Declined|Refused|Dead - DNC|GDPR deleted|Deceased|Verstorben"
    "|Left company|Wrong person|Dado de baja|希望しない|停止|Отписан|Відписався|退订|수신거부"
    "|Wants no contact|Plus intéressé, ne pas rappeler|Nicht mehr bei Firma|配信停止中|Fallecido"
)


@pytest.mark.parametrize("status", STATUSES)
def test_a_status_that_is_a_no_suppresses(status: str) -> None:
    assert stopped(column_of("Status", status, "Active")) == {NOBODY}


@pytest.mark.parametrize("status", STATUSES)
def test_a_column_of_any_name_with_a_no_in_its_cells_is_noticed(status: str) -> None:
    assert is_noticed(column_of("Group", status, "Active"))


@pytest.mark.parametrize(
    "status",
    split(
        "No contact made|Not contacted|Noch kein Kontakt|No email|Not unsubscribed"
        "|Pas encore contacté"
        "|Working - Contacted|Nicht erreicht|New|Nurture|Open|Not yet called|Interested"
    ),
)
def test_what_has_not_happened_yet_is_no_refusal(status: str) -> None:
    file = column_of("Status", status, "Active")

    assert (stopped(file), file.unread_consent) == (set(), ())


@pytest.mark.parametrize("status", ["Baja", "Dado de baja", "De baja", "Cancelado"])
def test_a_status_that_is_called_like_a_region_is_a_status(status: str) -> None:
    file = read("Nombre,Email,Estado", f"Ana,{NOBODY},{status}", "Leo,leo@b.example,Alta")

    assert file.fields[2] == "contact_status"
    assert stopped(file) == {NOBODY}


def test_a_region_stays_one() -> None:
    file = read("Nombre,Email,Estado", f"Ana,{NOBODY},Baja California", "Leo,leo@b.example,Jalisco")

    assert file.fields[2] == "region"
    assert stopped(file) == set()


@pytest.mark.parametrize(
    ("name", "email"),
    [
        ("Ada", f"{NOBODY} (unsubscribed)"),
        ("Bob Hi (DO NOT CONTACT)", NOBODY),
        ("Cat", f"DO NOT MAIL {NOBODY}"),
        ("Dan", f"{NOBODY} - OPT OUT"),
        ("Eve [abgemeldet]", NOBODY),
        ("Fay Low deceased", NOBODY),
        ("Gus Low DO NOT CALL", NOBODY),
        ("田中【配信停止】", NOBODY),
    ],
)
def test_a_no_beside_a_value_is_a_no_with_its_cell(name: str, email: str) -> None:
    file = read("Name,Email,Company", f"{name},{email},A", "Robinson Baja,r@b.example,Stop & Shop")

    (statement,) = (file.rows or file.bad)[0].consent
    assert stopped(file) == {NOBODY}
    assert statement.evidence.startswith(("Name: ", "Email: "))


@pytest.mark.parametrize(
    "heading", split("Unsubscribed contacts export|DO NOT CONTACT|Abgemeldete Empfänger|退订名单")
)
def test_a_heading_that_says_no_makes_the_start_ask(heading: str) -> None:
    lines = (heading, "", "Name,Company,Email", f"Ann Low,Acme,{NOBODY}", "Bob Hi,B,bob@b.example")
    file = read(*lines)
    waved = read_csv("\n".join(lines).encode(), ColumnChoice(ignored_consent=("Name",)))

    assert (file.unread_consent, waved.unread_consent) == (("Name",), ())
    assert any(repr(heading) in warning and "heading" in warning for warning in file.warnings)


@pytest.mark.parametrize(
    "section",
    split(
        "DO NOT CONTACT:|Do not contact list:|Unsubscribed|Nicht kontaktieren|配信停止|Отписались:"
    ),
)
def test_a_section_that_says_no_makes_the_start_ask_and_suppresses_nobody(section: str) -> None:
    file = read("Name,Company,Email", "Ada Low,A,ada@a.example", f"{section},,", f"B,B,{NOBODY}")

    assert file.unread_consent == ("Name",)
    assert file.opted_out_count == 0
    assert any(f"line 3: {section}" in warning for warning in file.warnings)


def test_other_headings_and_short_rows_are_in_nobodys_way() -> None:
    file = read("Our best contacts", "", "Name,Company,Email", "Ada Low,A,ada@a.example", "Bob,,")

    assert file.unread_consent == ()


def test_a_no_is_of_every_address_in_its_row() -> None:
    file = read(
        "Vorname;Nachname;Firma;Geschäftlich: E-Mail;Privat: E-Mail;Notiz;Besitzer;Werbesperre",
        f"Otto;Berg;Heide;{NOBODY};otto@web.example;auch o@x.example;rep@own.example;ja",
    )

    assert stopped(file) == {NOBODY, "otto@web.example", "o@x.example"}


@pytest.mark.parametrize(
    "note",
    split(
        "bitte nicht mehr anrufen|no more emails please|asked us not to email again"
        "|asked to be taken off|wants off the list|will nichts mehr von uns hören"
        "|niet meer mailen|удалить из рассылки|今後連絡不要|DNC|ne veut plus recevoir nos mails"
        "|pide que no le llamemos más|non vuole più ricevere email|pediu para não ligar mais"
        "|prosi o niekontaktowanie się|vill inte bli uppringd mer|ønsker ikke flere mails"
        "|ei halua enää sähköposteja|nepřeje si být kontaktován|просил больше не звонить"
        "|просив більше не писати|もうメールしないで|客户要求不要再发邮件"
        "|더 이상 연락하지 말라고 함"
        "|a cerut să nu mai fie contactat|kérte, hogy ne hívjuk többet|να μην τον ξανακαλέσουμε"  # noqa: RUF001 - words of other scripts
        "|hung up, said never to ring him again"
    ),
)
def test_a_note_that_may_be_a_no_makes_the_start_ask(note: str) -> None:
    file = column_of("Notes", note, "met at the fair")

    assert (file.unread_consent, stopped(file)) == (("Notes",), set())


@pytest.mark.parametrize(
    "note",
    split(
        "met at the fair|called twice, no answer|not reached by phone yet|no e-mail found"
        "|noch nicht erreicht|sent the brochure by mail|wants a quote|Planta Baja 2"
        "|12 Robinson Street"
    ),
)
def test_other_notes_are_in_nobodys_way(note: str) -> None:
    assert column_of("Notes", note).unread_consent == ()


def test_consent_to_photos_is_none_to_letters() -> None:
    file = read("email,Photo consent,Marketing consent", f"{NOBODY},No,Yes")

    assert (stopped(file), file.unread_consent) == (set(), ())


@pytest.mark.parametrize("cell", ["brak", "brak danych", "nie dotyczy", "-"])
def test_a_word_for_nothing_in_an_opt_in_says_nothing(cell: str) -> None:
    assert stopped(column_of("Zgoda marketingowa", cell, "tak")) == set()
