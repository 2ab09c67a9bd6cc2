"""Groups of things that are one: union-find over ids, the smallest (oldest) id leads each group."""

from uuid import UUID


class Groups:
    """Ids joined pair by pair. UUIDv7 compare by age, so the leader is the oldest."""

    def __init__(self) -> None:
        self._parent: dict[UUID, UUID] = {}

    def join(self, one: UUID, other: UUID) -> None:
        """Say that two are the same."""
        first, second = self.leader(one), self.leader(other)
        if first.int < second.int:
            self._parent[second] = first
        elif second.int < first.int:
            self._parent[first] = second

    def leader(self, one: UUID) -> UUID:
        """Tell the oldest of the group."""
        while (parent := self._parent.get(one, one)) != one:
            self._parent[one] = self._parent.get(parent, parent)
            one = parent
        return one
