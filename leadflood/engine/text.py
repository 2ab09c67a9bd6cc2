"""Text that can be kept: UTF-8 writes no lone surrogate, and Postgres holds no NUL."""


def make_encodable(text: str) -> str:
    """Return a text that UTF-8 can write: `?` stands for each lone surrogate."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode()


def make_storable(text: str) -> str:
    """Return a text that Postgres can hold: encodable, and without NUL."""
    return make_encodable(text).replace("\x00", "")


def is_storable(text: str) -> bool:
    """Whether Postgres can hold a text as it is."""
    return make_storable(text) == text
