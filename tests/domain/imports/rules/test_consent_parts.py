"""Headers, cells and texts about consent that no list has as they are."""

import pytest
from leadflood.domain.imports.rules.consent_parts import Meaning, read_parts
from leadflood.domain.imports.rules.whole_file import read_csv
from leadflood.domain.imports.schemas.columns import ColumnChoice
from leadflood.domain.imports.schemas.rows import ReadCsv
from tests.support.consent import refusing_addresses

NOBODY = "ann@a.example"


def split(words: str) -> list[str]:
    return words.split("|")


def read(*lines: str) -> ReadCsv:
    return read_csv("\n".join(lines).encode())


def column_of(header: str, cell: str, other: str = "") -> ReadCsv:
    return read(f'email,"{header}"', f'{NOBODY},"{cell}"', f'bob@b.example,"{other}"')


def is_noticed(file: ReadCsv) -> bool:
    """Whether the one who says no is suppressed, or the start asks."""
    return bool(file.unread_consent) or NOBODY in refusing_addresses(file)


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

    assert (file.unread_consent, refusing_addresses(file)) == ((), set())


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
    assert refusing_addresses(column_of("Status", status, "Active")) == {NOBODY}


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

    assert (refusing_addresses(file), file.unread_consent) == (set(), ())


@pytest.mark.parametrize("status", ["Baja", "Dado de baja", "De baja", "Cancelado"])
def test_a_status_that_is_called_like_a_region_is_a_status(status: str) -> None:
    file = read("Nombre,Email,Estado", f"Ana,{NOBODY},{status}", "Leo,leo@b.example,Alta")

    assert file.fields[2] == "contact_status"
    assert refusing_addresses(file) == {NOBODY}


def test_a_region_stays_one() -> None:
    file = read("Nombre,Email,Estado", f"Ana,{NOBODY},Baja California", "Leo,leo@b.example,Jalisco")

    assert file.fields[2] == "region"
    assert refusing_addresses(file) == set()


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
    assert refusing_addresses(file) == {NOBODY}
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

    assert refusing_addresses(file) == {NOBODY, "otto@web.example", "o@x.example"}


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

    assert (file.unread_consent, refusing_addresses(file)) == (("Notes",), set())


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

    assert (refusing_addresses(file), file.unread_consent) == (set(), ())


@pytest.mark.parametrize("cell", ["brak", "brak danych", "nie dotyczy", "-"])
def test_a_word_for_nothing_in_an_opt_in_says_nothing(cell: str) -> None:
    assert refusing_addresses(column_of("Zgoda marketingowa", cell, "tak")) == set()


UNSEEN = split(
    "Please do not ring=yes|Mailing refused=x|Left mailing list on=2024-01-02"
    "|Taken off list=yes|Barred from marketing=Y|Suppressed since=2023-04-05"
    "|Commercial e-mail allowed?=no|OK to phone?=No|Agrees to be contacted=N"
    "|hs_email_optout_12345=true|NoBulkMail=true|Werbeeinwilligung erteilt=nein"
    "|Kontaktaufnahme untersagt=x|Hat Werbung widersprochen=ja"
    "|Zusendung unerwünscht=x|Telefonische Ansprache erlaubt=nein"
    "|Auskunftssperre=ja|Refuse la prospection=oui|Ne veut plus de mails=oui"
    "|Accord mailing=non|Désabonnement le=02/03/2024|Radié de la liste=oui"
    "|Rechaza publicidad=sí|No quiere correos=sí|Autoriza envío de publicidad=no"
    "|Bloqueado para envíos=sí|Consenso newsletter=No|Non vuole essere chiamato=sì"
    "|Data disiscrizione=2024-03-02|Niet bellen a.u.b.=ja"
    "|Uitgeschreven nieuwsbrief=ja|Mag gebeld=nee|Quer receber e-mails=não"
    "|Não receber propaganda=sim|Saiu da lista=sim|Sprzeciw wobec marketingu=tak"
    "|Nie dzwonić=tak|Zgoda na newsletter=nie|Rezygnacja z mailingu=tak|Nixad=ja"
    "|Vill inte ha mejl=ja|Samtycke till utskick=nej|Spärrad för reklam=ja"
    "|Må ikke ringes op=ja|Reservert mot telefonsalg=ja|Vil ikke ha e-post=ja"
    "|Ei sähköpostia=kyllä|Lupa soittaa=ei|Nepřeje si newsletter=ano"
    "|Souhlas s obchodními sděleními=ne|Не присылать письма=да"  # noqa: RUF001 - words of other scripts
    "|Разрешена рассылка=нет|Відмова від розсилки=так|Не телефонувати=так"  # noqa: RUF001 - words of other scripts
    "|Згода на розсилку=ні|E-bülten aboneliği iptal=evet|Arama izni=hayır|DM送付=不可"  # noqa: RUF001 - words of other scripts
    "|連絡可否=否|接受营销=否|请不要打电话=是|이메일 수신 동의=아니오|연락 금지=예"
    "|Nu dorește apeluri=da"
    "|Acord marketing=nu|Dezabonat la=2024-02-03|Hozzájárulás e-mailhez=nem"
    "|Συγκατάθεση επικοινωνίας=όχι|Διαγραφή από λίστα=ναι"  # noqa: RUF001 - words of other scripts
    "|Kategorie=Werbewiderspruch|Gruppe=Nicht kontaktieren"
    "|Segment=Do-not-contact list|Typ=Abgemeldet|Etiqueta=No molestar"
    "|Does not wish to be contacted=yes|Privacy: no emails=Y"
    "|Telemarketing consent=denied|TCPA opt-out=Y|CallingListStatus=Removed"
    "|Mail preference service=yes|Subscription cancelled=true"
    "|Suppression reason=user request|email_unsubscribed_at=2023-02-02"
    "|bounce_or_unsub=unsub|Interessiert an Newsletter=nein"
    "|Darf per Mail angesprochen werden=Nein|Verweigert Kontakt=ja"
    "|Sperrkennzeichen=X|Opt-Out-Datum=01.01.2024|Datenlöschung beantragt=ja"
    "|Postwerbung verboten=x|Ne souhaite pas être démarché=oui|Liste rouge=oui"
    "|Inscription annulée=oui|Stop SMS=oui|Veut recevoir nos offres=non"
    "|Accepte d'être rappelé=non|Derecho de oposición ejercido=sí"
    "|Excluido de campañas=sí|Deseo recibir ofertas=no|Anulada suscripción=sí"
    "|Consentimiento revocado el=2024-01-01|Contatto vietato=sì"
    "|Escluso da campagne=sì|Autorizza newsletter=no"
    "|Bezwaar tegen direct marketing=ja|Geen contact meer=ja"
    "|Toestemming ingetrokken op=2024-01-05|Niet meer benaderen=ja"
    "|Nieuwsbrief opgezegd=ja|Bloqueado para contato=sim|Revogou consentimento=sim"
    "|Deseja receber ofertas=não|Oposição ao marketing=sim"
    "|Zgoda wycofana dnia=2024-01-05|Nie chce ofert=tak|Akceptuje mailing=nie"
    "|Blokada wysyłki=tak|Avsagt nyhetsbrev=ja|Får ej ringas=ja"
    "|Tackat nej till reklam=ja|Sagt nej tak=ja|Afmeldt den=2024-01-05"
    "|Ingen opkald=ja|Trukket samtykke=ja|Avmeldingsdato=2024-01-05"
    "|Kieltänyt yhteydenotot=kyllä|Suoramarkkinointi kielletty=kyllä"
    "|Saako lähettää sähköpostia=ei|Odhlášení z newsletteru=ano"
    "|Nesouhlasí s oslovením=ano|Odvolal souhlas=ano|Отозвал согласие=да"
    "|Жалоба на спам=да|Не отправлять SMS=да|Согласен на рассылку=нет"  # noqa: RUF001 - words of other scripts
    "|Скарга на спам=так|Відкликав згоду=так|Tanıtım almak istemiyor=evet"  # noqa: RUF001 - words of other scripts
    "|İzin iptal tarihi=2024-01-05|KVKK onayı=hayır|受信拒否フラグ=1|連絡しないでください=○"  # noqa: RUF001 - words of other scripts
    "|メール送信許可=不可|拒绝推广=是|已退订日期=2024-01-05|同意接收邮件=否"
    "|수신 동의 철회일=2024-01-05|마케팅 동의=미동의"
    "|Retras consimțământ=da|Nu mai contactați=da|Visszavont hozzájárulás=igen"
    "|Ne hívja=igen|Απεγγραφή=ναι|Να μην ενοχληθεί=ναι|Segment=Suppressed contacts"  # noqa: RUF001 - words of other scripts
    "|Not to be called=yes|No sales contact=Y|EmailStatusFlag_OptOut=1"
    "|contact_blocked_flag=true|Solicitation allowed=N|Werbezusendungen=nein"
    "|Kontaktverbot bis=2030-01-01|Einwilligung entzogen=ja|Werbestopp=ja"
    "|Rückruf unerwünscht=x|Ne désire pas d'appels=oui"
    "|Consentement retiré le=2024-01-05|Pas d'envoi=oui|Joignable par mail=non"
    "|Sin publicidad=sí|Prohibido contactar=sí|Acepta llamadas=no"
    "|Nessuna pubblicità=sì|Blocco comunicazioni=sì|Può ricevere email=no"
    "|Geen telemarketing=ja|Belverbod=ja|Reclame gewenst=nee"
    "|Sem publicidade=sim|Parou de receber=sim|Permite contato=não"
    "|Zakaz kontaktu=tak|Zablokowane powiadomienia=tak|Zgoda RODO=nie"
    "|Inga samtal=ja|Reklamspärrad=ja|Godkänner kontakt=nej"
    "|Ingen markedsføring=ja|Markedsføringssamtykke=nej|Ikke kontaktbar=ja"
    "|Yhteydenotto kielletty=kyllä|Markkinointiesto=kyllä"
    "|Nesmí být kontaktován=ano|Blokovaný kontakt=ano|Reklamasız=evet"  # noqa: RUF001 - words of other scripts
    "|İletişim yasağı=evet|Рекламу не слать=да|Запрет на звонки=да"  # noqa: RUF001 - words of other scripts
    "|Без рассылки=да|Заборонено дзвонити=так|Без реклами=так|連絡禁止フラグ=1|広告拒否=1"
    "|配信対象外=1|勿发邮件=是|不允许联系=是|연락 불가=예|전화 금지=예|Fără reclame=da"
    "|Interzis contactul=da|Reklám tiltva=igen|Nem hívható=igen"
    "|Όχι διαφημίσεις=ναι|Απαγορεύεται η επικοινωνία=ναι"  # noqa: RUF001 - words of other scripts
    "|Aufnahme in Verteiler erlaubt=nein|Nevolejte=ano|Divieto di contatto=sì|Aucun démarchage=oui"
)


@pytest.mark.parametrize("pair", UNSEEN)
def test_headers_that_nobody_wrote_the_words_for_are_noticed(pair: str) -> None:
    header, _, cell = pair.rpartition("=")
    file = column_of(header, cell)

    assert is_noticed(file)
    assert not any(statement.agrees for row in file.rows for statement in row.consent)


@pytest.mark.parametrize(
    "status",
    split(
        "Wants no contact|Abgesprungen - keine Mails|Opted-out via link|Se dio de baja"
        "|Plus intéressé, ne pas rappeler|Non contattare più|Niet benaderen!|Rezygnacja"
        "|Не беспокоить|配信停止中|退订用户|수신거부자|Passed away 2023|Nicht mehr bei Firma"  # noqa: RUF001 - words of other scripts
        "|Blacklist|Do not solicit|Hat sich abgemeldet|Kontaktsperre aktiv"
        "|Désinscrit le 12/03|No volver a llamar|Non interessato|Wil niet gebeld worden"
        "|Não perturbar|Brak kontaktu na prośbę|Vill ej bli kontaktad|Kielletty"
        "|Nesouhlasí|Просил не звонить|営業お断り|拒绝联系|연락금지|Retired|In Rente|Pensioniert"
        "|Opt-out requested|Möchte nicht mehr kontaktiert werden"
        "|A demandé l'arrêt des mails|No llamar más"
        "|Ha chiesto di non essere contattato|Niet meer bellen|Não contatar mais"
        "|Nie kontaktować się|Ønsker ikke kontakt|Ei halua yhteydenottoa"
        "|Больше не писать|連絡拒否|不要联系"
    ),
)
def test_statuses_that_nobody_wrote_the_words_for_are_noticed(status: str) -> None:
    assert is_noticed(column_of("Status", status, "Active"))


@pytest.mark.parametrize(
    "note",
    split(
        "Bitte aus der Kartei streichen, will keine Post|wil niet meer gebeld worden"
        "|bir daha aramayın dedi|もうメールしないでほしいとのこと|ζήτησε να μην τον ξανακαλέσουμε"  # noqa: RUF001 - words of other scripts
        "|He asked that we lose his number|verbittet sich weitere Anrufe"
        "|keinerlei Kontakt gewünscht|a demandé à ne plus être sollicité"
        "|no insistir, pidió baja|chiede di essere cancellato"
        "|verzocht om verwijdering uit bestand|pediu exclusão dos dados"
        "|żąda usunięcia danych|vill bli borttagen ur registret|bad om at blive slettet"
        "|pyysi poistamaan tietonsa|žádá o výmaz údajů|требует удалить данные"
        "|verilerinin silinmesini istedi|個人情報の削除依頼あり|要求删除个人信息|삭제 요청"
        "|cere ștergerea datelor"
        "|please stop phoning|kein Anruf mehr erwünscht!!|merci de ne plus m'écrire"
        "|que no le escriban|basta email|stop met mailen|chega de e-mails"
        "|koniec z mailami|slutt å ringe|lopettakaa soittelu|хватит звонить|電話しないで"
        "|别再打电话"
        "|ne plus relancer|nie życzy sobie kontaktu|ne plus le relancer"
    ),
)
def test_notes_that_nobody_wrote_the_words_for_are_noticed(note: str) -> None:
    assert is_noticed(column_of("Notes", note))


@pytest.mark.parametrize(
    "header",
    split(
        "Consent withdrawn on|Consentimiento revocado|Toestemming ingetrokken op|Odvolal souhlas"
        "|Trukket samtykke|Avsagt nyhetsbrev|Consent (old webform)|Newsletter zurückgegeben"
    ),
)
def test_a_header_with_words_that_nobody_knows_is_no_agreement(header: str) -> None:
    file = column_of(header, "yes")

    assert file.unread_consent or refusing_addresses(file)
    assert not any(statement.agrees for row in file.rows for statement in row.consent)


@pytest.mark.parametrize(
    "header", ["Not contacted", "Noch nicht kontaktiert", "Email not verified"]
)
def test_what_may_not_have_happened_yet_is_asked_about_and_suppresses_nobody(header: str) -> None:
    file = column_of(header, "yes", "no")

    assert (file.unread_consent, refusing_addresses(file)) == ((header,), set())
