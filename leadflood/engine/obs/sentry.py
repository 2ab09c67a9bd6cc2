"""Sentry: reports bugs, where it is installed and configured; ids and code, no personal data.

Whatever is logged as an error with its exception is a bug that nobody foresaw; the log's own
pipeline is where all of them pass, those of requests and those of jobs.
"""

from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

import msgspec

from leadflood.engine.errors import NotConfigured

TAGS = ("requestId", "jobId", "runId")
SHUTDOWN_SECONDS = 2.0


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where bugs are reported (Sentry's DSN); empty: nowhere but in the log."""

    dsn: str = ""
    environment: str = "production"


class SentryReporter:
    """Sends reports by a client of Sentry's."""

    def __init__(self, sdk: Any) -> None:
        self._sdk = sdk

    def report(self, event: str, error: BaseException, fields: MutableMapping[str, Any]) -> None:
        """Send a bug, under the ids of its request and its job."""
        with self._sdk.new_scope() as scope:
            scope.set_tag("event", event)
            for name in TAGS:
                if value := fields.get(name):
                    scope.set_tag(name, str(value))
            scope.capture_exception(error)


class ActiveSentry:
    """The reporter of this process; None: there is none."""

    reporter: SentryReporter | None = None


def report_bug(logger: Any, method: str, fields: MutableMapping[str, Any]) -> Any:
    """Report what is logged with an exception as an error; a step of the log's pipeline."""
    del logger
    reporter, error = ActiveSentry.reporter, fields.get("exc_info")
    if reporter is not None and method == "error" and isinstance(error, BaseException):
        reporter.report(str(fields.get("event", "")), error, fields)
    return fields


def _load_client() -> Any:
    try:
        import sentry_sdk  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise NotConfigured(
            "sentry.dsn is set, but Sentry's client is not installed:"
            " pip install 'leadflood[sentry]', or leave sentry.dsn empty",
            code="engine.sentry.missing",
        ) from error
    return sentry_sdk


@contextmanager
def reporting(settings: Settings, transport: Any = None) -> Iterator[None]:
    """Report bugs while the block runs. Raises: NotConfigured."""
    if not settings.dsn:
        yield
        return
    sentry_sdk = _load_client()
    more = {} if transport is None else {"transport": transport}
    sentry_sdk.init(
        dsn=settings.dsn,
        environment=settings.environment,
        default_integrations=False,
        auto_enabling_integrations=False,
        include_local_variables=False,
        max_breadcrumbs=0,
        server_name="",
        before_send=strip,
        **more,
    )
    ActiveSentry.reporter = SentryReporter(sentry_sdk)
    try:
        yield
    finally:
        ActiveSentry.reporter = None
        sentry_sdk.get_client().close(timeout=SHUTDOWN_SECONDS)


def strip(event: Any, hint: Any) -> Any:
    """Take out what may name people: texts of errors, variables, the machine's user."""
    del hint
    for error in event.get("exception", {}).get("values", ()):
        error["value"] = ""
        for frame in error.get("stacktrace", {}).get("frames", ()):
            frame.pop("vars", None)
    for name in ("user", "request", "extra", "breadcrumbs", "modules", "server_name"):
        event.pop(name, None)
    return event
