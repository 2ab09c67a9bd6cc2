"""Columns of a lead as a file: the headers that exports write and imports know again.

They stay as they are: a program may read them.
"""

from types import MappingProxyType

from leadflood.contracts.values import FieldName


def camel(word: str) -> str:
    """Return a name of ours as it stands in JSON and in headers: `fullName`."""
    head, *rest = word.split("_")
    return head + "".join(part.capitalize() for part in rest)


ID = "id"
TAGS = "tags"
OWNER_EMAIL = "ownerEmail"
VALUES = MappingProxyType({camel(field.value): field for field in FieldName})
"""The columns of values, which an import takes, as it does `tags` and `ownerEmail`."""
ATTRIBUTES = MappingProxyType(
    {
        camel(name): name
        for name in (
            "id",
            "status",
            "failed_code",
            "score",
            "band",
            "icp_id",
            "run_id",
            "scored_at",
            "source",
            "owner",
            "tags",
            "created_at",
            "updated_at",
        )
    }
)
"""The columns of what the installation knows of a lead: but for `tags`, an import leaves them."""
