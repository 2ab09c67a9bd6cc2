"""Word lists that the pretend world is made of. All invented, or too common to mean anybody."""

from typing import Final

import msgspec


class Country(msgspec.Struct, frozen=True):
    """A country and the people in it.

    Attributes:
        code: ISO 3166-1 alpha-2.
        name: Its English name.
        continent: Its continent, in lower case.
        cities: Pairs of city and state.
        first_names: First names found there.
        last_names: Last names found there.
        mobile_prefix: What made-up mobile numbers begin with.
    """

    code: str
    name: str
    continent: str
    cities: tuple[tuple[str, str], ...]
    first_names: tuple[str, ...]
    last_names: tuple[str, ...]
    mobile_prefix: str


class Title(msgspec.Struct, frozen=True):
    """A job title.

    Attributes:
        words: The title as written.
        seniority: Apollo's word for the level.
        department: Apollo's word for the department.
        family: Titles of one family count as similar.
        weight: How common it is.
    """

    words: str
    seniority: str
    department: str
    family: str
    weight: int


class Industry(msgspec.Struct, frozen=True):
    """An industry: the word providers use, words for company names, and how common it is."""

    word: str
    name_words: tuple[str, ...]
    weight: int


class Technology(msgspec.Struct, frozen=True):
    """A product companies use: Apollo's uid, its name and category."""

    uid: str
    name: str
    category: str
    weight: int


def _split(words: str) -> tuple[str, ...]:
    return tuple(words.split())


_ENGLISH_FIRST = _split(
    "Mira Tobias Ada Grace Oliver Amelia Harry Isla Jack Ava Noah Emily Leo Sophie Arthur Freya "
    "Oscar Lily George Ella Theo Ruby Henry Chloe Ivo Adaeze Priya Arjun Mei Omar Leila Marcus"
)
_ENGLISH_LAST = _split(
    "Okafor Fernwick Brandvold Castellanor Quillfeather Ashdown Barlowe Carrick Dunmore Elswick "
    "Farrow Garland Hollis Inglewood Jessop Kestrel Langford Marlowe Northcott Oakes Pemberton "
    "Radcliffe Sedgwick Thornbury Underhill Wexford Yardley Hartwell Blackwood Copperfield Winslow "
    "Merriweather Stanhope Fairbanks Lockwood"
)
_GERMAN_FIRST = _split(
    "Lukas Hannah Felix Lena Jonas Mia Paul Emma Maximilian Anna Moritz Clara Jakob Johanna Anton "
    "Frieda Karl Greta Emil Ida Matthias Katrin Stefan Sabine Jürgen Anke Björn Heike"
)
_GERMAN_LAST = _split(
    "Ahlbrecht Brinkmeyer Dornfeld Eschenbach Falkner Grünwald Hagedorn Immelmann Jessen Kaltofen "
    "Lindemuth Möllendorf Nordhoff Osterkamp Pfennig Quast Rosenthal Schönfelder Tannhaus Uhlmann "
    "Vossberg Weidenbach Zimmerlein Holtkamp Sandvoss Kranich Birkholz Steinweg"
)
_DUTCH_FIRST = _split(
    "Daan Sanne Bram Lotte Sem Fleur Thijs Anouk Ruben Femke Jeroen Marieke Sander Ilse Wouter "
    "Esther Pieter Saskia Joost Willemijn Koen Maaike"
)
_DUTCH_LAST = _split(
    "Achterberg Boersma Dijkgraaf Elzinga Fokkema Groenveld Hoekstra Jansma Kuiperij Leeflang "
    "Meerdink Noordhof Oosterwijk Polderman Roozeboom Schoonhoven Terpstra Uitenbroek Veenstra "
    "Wolthuis Zandstra Bloemendal Kramerink"
)
_SWEDISH_FIRST = _split(
    "Elin Oskar Maja Viktor Alva Axel Ebba Gustav Saga Nils Linnea Anders Karin Björn Ingrid Lars "
    "Astrid Johan Sofia Henrik Åsa Göran"
)
_SWEDISH_LAST = _split(
    "Almqvist Björklund Dahlström Ekberg Forsgren Granlund Hedström Isaksdotter Järnvik Källgren "
    "Lindfors Malmberg Norrby Öberg Palmgren Rydell Sjöstedt Tornqvist Vallgren Wikander Åkerblom"
)
_LATIN_FIRST = _split(
    "Camille Hugo Inès Louis Manon Lucas Giulia Marco Sofía Pablo Lucía Diego Chiara Matteo Elena "
    "Javier Amélie Antoine Carmen Luca"
)
_LATIN_LAST = _split(
    "Beaumarchais Clairvaux Delacour Fontenelle Montclair Rochebrune Valmont Bellandi Carrozza "
    "Fiorentani Montesanto Serrano Valdecasas Ibarrola Quintanilla Arroyave Castelmar Peralta"
)
_POLISH_FIRST = _split("Zofia Jan Maja Antoni Julia Szymon Alicja Piotr Ewa Tomasz Agnieszka Marek")
_POLISH_LAST = _split(
    "Brzozowicz Czarnolas Dąbrowicz Gajewiak Jeziorko Kalinowicz Lipnicz Olszanek"
)
_DANISH_LAST = _split("Aggerholm Birkedal Damsgård Engelund Frydendal Højbjerg Kirkeby Lundholt")

UNITED_STATES: Final = Country(
    "US",
    "United States",
    "north america",
    (
        ("Oakland", "California"),
        ("Columbus", "Ohio"),
        ("Austin", "Texas"),
        ("Atlanta", "Georgia"),
        ("Pittsburgh", "Pennsylvania"),
        ("Grand Rapids", "Michigan"),
        ("Portland", "Oregon"),
    ),
    _ENGLISH_FIRST,
    _ENGLISH_LAST,
    "+1415555",
)
GERMANY: Final = Country(
    "DE",
    "Germany",
    "europe",
    (
        ("Hamburg", "Hamburg"),
        ("Stuttgart", "Baden-Württemberg"),
        ("München", "Bavaria"),
        ("Dortmund", "North Rhine-Westphalia"),
        ("Leipzig", "Saxony"),
        ("Bremen", "Bremen"),
    ),
    _GERMAN_FIRST,
    _GERMAN_LAST,
    "+4915550",
)
NETHERLANDS: Final = Country(
    "NL",
    "Netherlands",
    "europe",
    (
        ("Rotterdam", "South Holland"),
        ("Eindhoven", "North Brabant"),
        ("Utrecht", "Utrecht"),
        ("Zwolle", "Overijssel"),
    ),
    _DUTCH_FIRST,
    _DUTCH_LAST,
    "+316970",
)
UNITED_KINGDOM: Final = Country(
    "GB",
    "United Kingdom",
    "europe",
    (
        ("Leeds", "England"),
        ("Birmingham", "England"),
        ("Glasgow", "Scotland"),
        ("Bristol", "England"),
        ("Cardiff", "Wales"),
    ),
    _ENGLISH_FIRST,
    _ENGLISH_LAST,
    "+447700",
)
SWEDEN: Final = Country(
    "SE",
    "Sweden",
    "europe",
    (
        ("Göteborg", "Västra Götaland County"),
        ("Malmö", "Skåne County"),
        ("Stockholm", "Stockholm County"),
        ("Borås", "Västra Götaland County"),
    ),
    _SWEDISH_FIRST,
    _SWEDISH_LAST,
    "+467010",
)
FRANCE: Final = Country(
    "FR",
    "France",
    "europe",
    (
        ("Lyon", "Auvergne-Rhône-Alpes"),
        ("Lille", "Hauts-de-France"),
        ("Nantes", "Pays de la Loire"),
    ),
    _LATIN_FIRST,
    _LATIN_LAST,
    "+336990",
)
ITALY: Final = Country(
    "IT",
    "Italy",
    "europe",
    (("Torino", "Piedmont"), ("Bologna", "Emilia-Romagna"), ("Prato", "Tuscany")),
    _LATIN_FIRST,
    _LATIN_LAST,
    "+393990",
)
SPAIN: Final = Country(
    "ES",
    "Spain",
    "europe",
    (("Valencia", "Valencian Community"), ("Zaragoza", "Aragon")),
    _LATIN_FIRST,
    _LATIN_LAST,
    "+346990",
)
POLAND: Final = Country(
    "PL",
    "Poland",
    "europe",
    (("Łódź", "Łódź"), ("Poznań", "Greater Poland"), ("Gdańsk", "Pomerania")),
    _POLISH_FIRST,
    _POLISH_LAST,
    "+485990",
)
DENMARK: Final = Country(
    "DK",
    "Denmark",
    "europe",
    (("Aarhus", "Central Denmark"), ("Odense", "Southern Denmark")),
    _SWEDISH_FIRST,
    _DANISH_LAST,
    "+45299",
)

COUNTRIES: Final = (
    (GERMANY,) * 22
    + (UNITED_STATES,) * 22
    + (UNITED_KINGDOM,) * 16
    + (NETHERLANDS,) * 14
    + (SWEDEN,) * 9
    + (FRANCE,) * 5
    + (ITALY,) * 4
    + (POLAND,) * 3
    + (SPAIN,) * 3
    + (DENMARK,) * 2
)

TITLES: Final = (
    Title("VP Operations", "vp", "operations", "operations lead", 9),
    Title("Head of Procurement", "head", "operations", "procurement lead", 8),
    Title("Operations Director", "director", "operations", "operations lead", 9),
    Title("COO", "c_suite", "executive", "coo", 6),
    Title("Chief Operating Officer", "c_suite", "executive", "coo", 3),
    Title("Director of Operations", "director", "operations", "operations lead", 4),
    Title("Vice President of Operations", "vp", "operations", "operations lead", 2),
    Title("Head of Operations", "head", "operations", "operations lead", 4),
    Title("Procurement Director", "director", "operations", "procurement lead", 2),
    Title("VP Procurement", "vp", "operations", "procurement lead", 1),
    Title("Supply Chain Director", "director", "operations", "supply chain lead", 4),
    Title("Head of Logistics", "head", "operations", "supply chain lead", 3),
    Title("Operations Manager", "manager", "operations", "operations manager", 8),
    Title("Procurement Manager", "manager", "operations", "procurement manager", 5),
    Title("Warehouse Supervisor", "senior", "operations", "warehouse", 3),
    Title("Buyer", "entry", "operations", "procurement staff", 3),
    Title("CEO", "c_suite", "executive", "ceo", 4),
    Title("Managing Director", "c_suite", "executive", "ceo", 3),
    Title("Founder", "founder", "executive", "ceo", 2),
    Title("CFO", "c_suite", "finance", "cfo", 2),
    Title("CTO", "c_suite", "it", "cto", 2),
    Title("IT Manager", "manager", "it", "it manager", 3),
    Title("Software Engineer", "senior", "it", "engineer", 4),
    Title("Sales Manager", "manager", "sales", "sales manager", 3),
    Title("Account Executive", "entry", "sales", "sales staff", 2),
    Title("Marketing Manager", "manager", "marketing", "marketing manager", 2),
    Title("HR Business Partner", "senior", "hr", "hr staff", 1),
)

INDUSTRIES: Final = (
    Industry("manufacturing", _split("Manufacturing Fabrication Works Castings"), 18),
    Industry("logistics", _split("Logistics Freight Haulage Forwarding"), 15),
    Industry("robotics", _split("Robotics Automation Actuators Cobots"), 12),
    Industry("food", _split("Foods Bakery Dairy Provisions"), 12),
    Industry("textiles", _split("Textiles Weaving Fabrics Yarns"), 9),
    Industry("software", _split("Software Systems Cloud Analytics"), 9),
    Industry("retail", _split("Retail Stores Outfitters Market"), 7),
    Industry("construction", _split("Construction Builders Civils Interiors"), 6),
    Industry("energy", _split("Energy Solar Turbines Grid"), 4),
    Industry("health care", _split("Health Clinics Care Diagnostics"), 4),
    Industry("financial services", _split("Capital Finance Insurance Payments"), 4),
)

NAME_PREFIXES: Final = _split(
    "Harbour Bright Quarry Fern North South West East Silver Copper Iron Granite Amber Cedar Oak "
    "Willow River Lake Stone Clear Blue Green Red Grey White Black High Low Long Swift Bold Calm "
    "Deep Fair Gold Hazel Ivory Jade Keen Lark Moss Noble Opal Pine Quill Raven Sage Thorn Umber "
    "Vale Winter Summer Spring Autumn Ash Birch Elm Maple Marble"
)
NAME_ENDINGS: Final = _split(
    "wind works loom stone hollow field bridge ford gate haven hill land mark mere mill moor path "
    "peak point port ridge shore side stead vale view ward water well wood"
)

TECHNOLOGIES: Final = (
    Technology("sap", "SAP", "Enterprise Resource Planning", 8),
    Technology("salesforce", "Salesforce", "Customer Relationship Management", 9),
    Technology("shopify", "Shopify", "E-commerce Platforms", 7),
    Technology("hubspot", "HubSpot", "Marketing Automation", 9),
    Technology("amazon_aws", "Amazon AWS", "Hosting", 10),
    Technology("microsoft_azure", "Microsoft Azure", "Hosting", 8),
    Technology("react", "React", "Frameworks and Programming Languages", 10),
    Technology("netsuite", "NetSuite", "Enterprise Resource Planning", 4),
    Technology("odoo", "Odoo", "Enterprise Resource Planning", 3),
    Technology("zendesk", "Zendesk", "Support and Feedback", 6),
    Technology("stripe", "Stripe", "Payments", 6),
    Technology("google_analytics", "Google Analytics", "Analytics and Tracking", 14),
    Technology("woocommerce", "WooCommerce", "E-commerce Platforms", 4),
    Technology("wordpress", "WordPress.org", "CMS", 8),
)

FREE_MAIL_DOMAIN: Final = "freemail.example"
