"""Notes on the cells of rows, counted by column."""

import msgspec


class NoteCount(msgspec.Struct, frozen=True, kw_only=True):
    """The notes on one field so far.

    - `field`: the field's name.
    - `is_left_out`: whether nothing was kept of the cells; else they were kept, with a note.
    - `count`: how many rows have such a note.
    - `filled`: how many rows say something of the field.
    - `examples`: the first notes that differ.
    """

    field: str
    is_left_out: bool
    count: int
    filled: int
    examples: tuple[str, ...]


class NoteSummary(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The notes on the columns of one field.

    - `field`: the field's name.
    - `columns`: the columns that hold it.
    - `isLeftOut`: whether nothing was kept of the cells; else they were kept, with a note.
    - `count`, `of`: how many rows have such a note, of those that say something of the field.
    - `examples`: some of the notes.
    - `text`: all of that in words.
    """

    field: str
    columns: tuple[str, ...]
    is_left_out: bool
    count: int
    of: int
    examples: tuple[str, ...]
    text: str
