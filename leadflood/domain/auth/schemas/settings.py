"""Settings of authentication."""

import msgspec


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How people and scripts authenticate.

    `secret`: the master secret, from which all others are derived; the nodes of a database share
    it. Empty: made at the first start and kept in the data folder.
    `access_minutes`: lifetime of an access token.
    `refresh_days`: lifetime of a session that is not used.
    `session_days`: lifetime of a session at most.
    `claim_hours`, `invitation_hours`, `reset_hours`: lifetime of each kind of one-time link.
    `key_days`: lifetime of an API key whose maker names none.
    `device_days`: how long a device that a user logged in from is known by its token.
    `proof_minutes`: how long a password or code lets its session make keys and factors.
    `recheck_seconds`: how long a principal's rights are cached.
    `leeway_seconds`: how far the clocks of nodes may differ.
    `account_failures`: failed logins of an account that close it to addresses it never logged in
    from; from those, on a known device and in a session, a growing wait follows each further one.
    `address_failures`: failed logins from an address that close that address.
    `failure_minutes`: how long a failed login counts.
    `argon2_memory_kib`, `argon2_passes`: cost of a password hash.
    """

    secret: str = ""
    access_minutes: float = 15.0
    refresh_days: float = 30.0
    session_days: float = 90.0
    claim_hours: float = 24.0
    invitation_hours: float = 168.0
    reset_hours: float = 24.0
    key_days: float = 90.0
    device_days: float = 180.0
    proof_minutes: float = 5.0
    recheck_seconds: float = 1.0
    leeway_seconds: float = 5.0
    account_failures: int = 10
    address_failures: int = 50
    failure_minutes: float = 15.0
    argon2_memory_kib: int = 47_104
    argon2_passes: int = 1
