"""Clean files and what happens to them: damage of one kind a file, drawn from a seed.

Each cell of a person holds the person's number (`Ln123456x`), so that a cell which comes out with
another's row shows it; half a number is nobody's.
"""

import random
import re
from collections.abc import Callable, Sequence

import msgspec

TOKEN = re.compile(r"(fn|ln|co|ti|ci|em)(\d{6})x", re.IGNORECASE)
COLUMNS = {
    "fn": ("First Name", "Vorname", "first_name"),
    "ln": ("Last Name", "Nachname", "Surname"),
    "co": ("Company", "Company Name", "Firma"),
    "ti": ("Job Title", "Position", "title"),
    "ci": ("City", "Ort", "city"),
    "em": ("Email", "E-mail", "email address"),
}
_LETTERS = {
    "cp1252": "äöüß",
    "cp1250": "łśćż",
    "utf-8": "łöéЖ",
    "utf-8-sig": "łöéЖ",
    "utf-16": "łöéЖ",
    "utf-16-le": "łöéЖ",
}

Draw = random.Random


class Sheet(msgspec.Struct, kw_only=True):
    """A clean file in parts: a line for each row, the header first.

    `touched` are the numbers of the people whose lines were changed.
    """

    kinds: list[str]
    lines: list[str]
    delimiter: str
    line_end: str
    encoding: str
    touched: set[int] = msgspec.field(default_factory=set)
    damage: str = ""
    line_encodings: dict[int, str] = {}

    def text(self) -> str:
        """Return the file as it is meant to be read."""
        return self.line_end.join(self.lines) + self.line_end

    def raw(self) -> bytes:
        """Return its bytes."""
        if not self.line_encodings:
            return self.text().encode(self.encoding, "replace")
        return b"".join(
            (line + self.line_end).encode(self.line_encodings.get(index, self.encoding), "replace")
            for index, line in enumerate(self.lines)
        )


def make_sheet(draw: Draw) -> Sheet:
    """Return a clean file of people."""
    kinds = list(COLUMNS)
    draw.shuffle(kinds)
    delimiter = draw.choice([",", ",", ";", "\t", "|"])
    quotes_all = draw.random() < 0.3  # noqa: PLR2004 - a share
    encoding = draw.choice(["utf-8"] * 4 + list(_LETTERS))
    special = draw.choice(_LETTERS[encoding])
    header = [draw.choice(COLUMNS[kind]) for kind in kinds]
    numbers = draw.sample(range(100_000, 1_000_000), draw.randint(4, 14))
    people = [
        [_cell(kind, number, special, delimiter, draw) for kind in kinds] for number in numbers
    ]
    lines = [
        delimiter.join(_quote(cell, delimiter, always=quotes_all) for cell in row)
        for row in [header, *people]
    ]
    line_end = draw.choice(["\n", "\n", "\r\n", "\r"])
    return Sheet(
        kinds=kinds, lines=lines, delimiter=delimiter, line_end=line_end, encoding=encoding
    )


def _cell(kind: str, number: int, special: str, delimiter: str, draw: Draw) -> str:  # noqa: PLR0911
    token = f"{kind.capitalize()}{number}x"
    match kind:
        case "em":
            return f"em{number}x@em{number}x.com"
        case "fn":
            return f"{token}e{special}n" if number % 3 == 0 else token
        case "co" if number % 4 == 1:
            return f"{token}{delimiter} Ltd"
        case "co" if number % 4 == 2:  # noqa: PLR2004 - one in four
            return f'The "{token}" Group'
        case "ti" if number % 5 == 3:  # noqa: PLR2004 - one in five
            return f"Head of\n{token}"
        case "ci" if draw.random() < 0.2:  # noqa: PLR2004 - a share
            return ""
        case _:
            return token


def _quote(cell: str, delimiter: str, *, always: bool) -> str:
    if always or any(sign in cell for sign in (delimiter, '"', "\n")):
        return '"' + cell.replace('"', '""') + '"'
    return cell


def damage(sheet: Sheet, draw: Draw) -> None:
    """Damage a file in one way."""
    act = draw.choice(DAMAGES)
    sheet.damage = act.__name__
    act(sheet, draw)


def _pick(sheet: Sheet, draw: Draw) -> int:
    """Pick a line below the header, and count its people as touched."""
    index = draw.randrange(1, len(sheet.lines))
    _touch(sheet, index)
    return index


def _touch(sheet: Sheet, index: int) -> None:
    sheet.touched |= {int(number) for _, number in TOKEN.findall(sheet.lines[index])}


def _edit(sheet: Sheet, draw: Draw, change: Callable[[str], str]) -> None:
    index = _pick(sheet, draw)
    sheet.lines[index] = change(sheet.lines[index])


def _insert(line: str, sign: str, draw: Draw) -> str:
    at = draw.randint(0, len(line))
    return line[:at] + sign + line[at:]


def _places(line: str, sign: str) -> list[int]:
    return [at for at, each in enumerate(line) if each == sign]


def quote_before_cell(sheet: Sheet, draw: Draw) -> None:
    def change(line: str) -> str:
        at = draw.choice([0, *(place + 1 for place in _places(line, sheet.delimiter))])
        return line[:at] + '"' + line[at:]

    _edit(sheet, draw, change)


def quote_behind_cell(sheet: Sheet, draw: Draw) -> None:
    def change(line: str) -> str:
        at = draw.choice([*_places(line, sheet.delimiter), len(line)])
        return line[:at] + '"' + line[at:]

    _edit(sheet, draw, change)


def quote_anywhere(sheet: Sheet, draw: Draw) -> None:
    _edit(sheet, draw, lambda line: _insert(line, '"', draw))


def quotes_in_two_rows(sheet: Sheet, draw: Draw) -> None:
    for _ in range(draw.randint(2, 3)):
        draw.choice([quote_before_cell, quote_behind_cell])(sheet, draw)


def quote_lost(sheet: Sheet, draw: Draw) -> None:
    def change(line: str) -> str:
        places = _places(line, '"')
        if not places:
            return '"' + line
        at = draw.choice(places)
        return line[:at] + line[at + 1 :]

    _edit(sheet, draw, change)


def row_in_quotes(sheet: Sheet, draw: Draw) -> None:
    _edit(sheet, draw, lambda line: '"' + line.replace('"', '""') + '"')


def separator_lost(sheet: Sheet, draw: Draw) -> None:
    def change(line: str) -> str:
        at = draw.choice(_places(line, sheet.delimiter))
        return line[:at] + line[at + 1 :]

    _edit(sheet, draw, change)


def separator_added(sheet: Sheet, draw: Draw) -> None:
    _edit(sheet, draw, lambda line: _insert(line, sheet.delimiter, draw))


def separators_of_another_kind(sheet: Sheet, draw: Draw) -> None:
    other = draw.choice([sign for sign in (",", ";", "\t", "|") if sign != sheet.delimiter])
    _edit(sheet, draw, lambda line: line.replace(sheet.delimiter, other))


def blanks_around_separators(sheet: Sheet, draw: Draw) -> None:
    _edit(sheet, draw, lambda line: line.replace(sheet.delimiter, f"{sheet.delimiter} "))


def last_cells_lost(sheet: Sheet, draw: Draw) -> None:
    def change(line: str) -> str:
        return line[: draw.choice(_places(line, sheet.delimiter))]

    _edit(sheet, draw, change)


def first_cells_lost(sheet: Sheet, draw: Draw) -> None:
    def change(line: str) -> str:
        return line[draw.choice(_places(line, sheet.delimiter)) + 1 :]

    _edit(sheet, draw, change)


def cells_added(sheet: Sheet, draw: Draw) -> None:
    _edit(sheet, draw, lambda line: line + sheet.delimiter + "more" * draw.randint(0, 1))


def lines_joined(sheet: Sheet, draw: Draw) -> None:
    index = draw.randrange(1, len(sheet.lines) - 1)
    _touch(sheet, index)
    _touch(sheet, index + 1)
    sheet.lines[index] += sheet.lines.pop(index + 1)


def line_split(sheet: Sheet, draw: Draw) -> None:
    _edit(sheet, draw, lambda line: _insert(line, "\n", draw))


def part_cut_out(sheet: Sheet, draw: Draw) -> None:
    def change(line: str) -> str:
        start = draw.randint(0, len(line))
        return line[:start] + line[draw.randint(start, len(line)) :]

    _edit(sheet, draw, change)


def end_cut_off(sheet: Sheet, draw: Draw) -> None:
    index = _pick(sheet, draw)
    for lost in range(index + 1, len(sheet.lines)):
        _touch(sheet, lost)
    sheet.lines = sheet.lines[: index + 1]
    sheet.lines[index] = sheet.lines[index][: draw.randint(0, len(sheet.lines[index]))]


def line_of_another_encoding(sheet: Sheet, draw: Draw) -> None:
    if sheet.encoding.startswith("utf-16"):
        sheet.encoding = "utf-8"
    index = _pick(sheet, draw)
    sheet.lines[index] = sheet.lines[index].replace("x", "xü", 1)
    sheet.line_encodings = {index: draw.choice(["cp1252", "utf-8"])}


def signs_not_seen(sheet: Sheet, draw: Draw) -> None:
    sign = draw.choice(["\x00", "\u200b", "\u202e", "\ufeff", "\xad"])
    if sheet.encoding.startswith("cp"):
        sign = "\x00"
    _edit(sheet, draw, lambda line: _insert(line, sign, draw))


def header_again(sheet: Sheet, draw: Draw) -> None:
    sheet.lines.insert(draw.randrange(2, len(sheet.lines)), sheet.lines[0])


def lines_of_others(sheet: Sheet, draw: Draw) -> None:
    line = draw.choice(
        [
            "",
            sheet.delimiter * (len(sheet.kinds) - 1),
            "Confidential information - do not distribute",
            f"Total{sheet.delimiter * (len(sheet.kinds) - 1)}12",
        ]
    )
    sheet.lines.insert(draw.randint(1, len(sheet.lines)), line)


def second_table(sheet: Sheet, draw: Draw) -> None:
    cells = ["Company Name", "Website", "Industry", "Email"]
    sheet.lines += ["", sheet.delimiter.join(cells)]
    sheet.lines += [
        sheet.delimiter.join([f"Other{number}", "other.com", "Retail", "info@other.com"])
        for number in range(draw.randint(1, 3))
    ]


def lines_above(sheet: Sheet, draw: Draw) -> None:
    sheet.lines[:0] = ["Leads of May", ""][: draw.randint(1, 2)]


DAMAGES: Sequence[Callable[[Sheet, Draw], None]] = (
    quote_before_cell,
    quote_behind_cell,
    quote_anywhere,
    quotes_in_two_rows,
    quote_lost,
    row_in_quotes,
    separator_lost,
    separator_added,
    separators_of_another_kind,
    blanks_around_separators,
    last_cells_lost,
    first_cells_lost,
    cells_added,
    lines_joined,
    line_split,
    part_cut_out,
    end_cut_off,
    line_of_another_encoding,
    signs_not_seen,
    header_again,
    lines_of_others,
    second_table,
    lines_above,
)
