"""Records: the rows of a file as they stand in it, before anything is read into them."""

import msgspec


class Record(msgspec.Struct, frozen=True):
    """A row as it stands in the file.

    `number` is the line it starts on, from 1, and `line_count` how many it has; `problem` None:
    its syntax is sound.
    """

    number: int
    cells: tuple[str, ...]
    problem: str | None = None
    line_count: int = 1
