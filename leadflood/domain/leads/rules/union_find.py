"""Union-find: leads that turn out to be one person, joined pair by pair into groups. Pure."""

from uuid import UUID


class UnionFind:
    """Groups of leads; the oldest lead represents its group.

    UUIDv7 compare by age, so the oldest is the smallest id.
    """

    def __init__(self) -> None:
        self._parent: dict[UUID, UUID] = {}

    def join(self, left: UUID, right: UUID) -> None:
        """Join the groups of two leads."""
        first, second = self.find_root(left), self.find_root(right)
        if first.int < second.int:
            self._parent[second] = first
        elif second.int < first.int:
            self._parent[first] = second

    def find_root(self, lead_id: UUID) -> UUID:
        """Return the oldest lead of a group."""
        while (parent := self._parent.get(lead_id, lead_id)) != lead_id:
            self._parent[lead_id] = self._parent.get(parent, parent)
            lead_id = parent
        return lead_id
