"""Role mailboxes: addresses that an office, a department or a duty reads, not one person."""

import re
from functools import lru_cache

from leadflood.contracts.word_files import read_lines

_ROLES = frozenset(read_lines("role_mailboxes.txt"))
_INITIALS = 2
"""A role's word as short as this may be somebody's initials, or their first name: `it.berg@`."""
_PARTS = re.compile(r"[^\W\d_]+")


@lru_cache(maxsize=8192)
def is_role_mailbox(email: str) -> bool:
    """Whether an address is a role's by its local part: `info@`, `sales.emea@`, `hr-jobs@`.

    What stands behind a plus sign does not count. The first part decides: `anna.sales@` is a
    person's.
    """
    local = email.rpartition("@")[0].partition("+")[0].casefold()
    parts = _PARTS.findall(local)
    if local in _ROLES or (parts and _ROLES.issuperset(parts)):
        return True
    return bool(parts) and parts[0] in _ROLES and len(parts[0]) > _INITIALS
