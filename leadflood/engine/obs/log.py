"""Structured logs: JSON lines on stderr, the job at hand bound, no personal data.

An event is `area.noun.past_verb`; ids and numbers are fields, never text.
"""

import logging
import sys
from collections.abc import MutableMapping
from typing import Any, Literal, TextIO

import msgspec
import structlog

from leadflood.engine.context import CURRENT_JOB
from leadflood.engine.obs.sentry import report_bug

LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}

Fields = MutableMapping[str, Any]


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`level`: debug, info, warning or error; `format`: json, or text for a person's terminal."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["json", "text"] = "json"


def bind_job(logger: Any, method: str, fields: Fields) -> Fields:
    """Add the job at hand; read only when a line is written, so that good jobs pay nothing."""
    del logger, method
    job = CURRENT_JOB.get()
    if job is not None:
        fields.setdefault("jobId", str(job.job_id))
        if job.run_id is not None:
            fields.setdefault("runId", str(job.run_id))
        if job.request_id is not None:
            fields.setdefault("requestId", job.request_id)
    return fields


def _encode(fields: Fields, **_: Any) -> str:
    return msgspec.json.encode(fields, enc_hook=str).decode()


def configure(settings: Settings, stream: TextIO | None = None) -> None:
    """Set the process up to log; call once at start."""
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=False)
        if settings.format == "text"
        else structlog.processors.JSONRenderer(serializer=_encode)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            bind_job,
            report_bug,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[settings.level]),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    logging.basicConfig(level=logging.WARNING, stream=stream or sys.stderr)


log: structlog.typing.FilteringBoundLogger = structlog.get_logger()
