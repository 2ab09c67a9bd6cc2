"""How often maintenance runs, and how long finished things are kept."""

import msgspec


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How often the duties look, in seconds, and how long settled things are kept, in days.

    `run_days` is about runs of single leads, from their opening; runs of searches, files and bulk
    actions are kept.
    """

    timer_poll_seconds: float = 5.0
    rescue_seconds: float = 2.0
    reconcile_seconds: float = 60.0
    runs_seconds: float = 1.0
    prune_seconds: float = 60.0
    history_days: float = 7.0
    event_days: float = 30.0
    dead_letter_days: float = 90.0
    run_days: float = 180.0
    loss_patience: int = 5
    loss_backoff_seconds: float = 1.0
