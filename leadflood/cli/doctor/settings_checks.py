"""Checks of the settings: the data folder, the HTTP address, providers, mail."""

import tempfile
from pathlib import Path

from anyio import to_thread

from leadflood.api.http.connections import limits_of
from leadflood.api.http.settings import warning_of
from leadflood.cli.doctor.check import DoctorCheck, failed, passed, warning
from leadflood.contracts.ports.email import EmailVerifier
from leadflood.contracts.values import Channel
from leadflood.engine.open_files import read_limit
from leadflood.providers import catalog
from leadflood.settings import Settings
from leadflood.wiring.storage import Storage


async def check_folder(settings: Settings) -> DoctorCheck:
    """Check that the data folder can be written."""
    folder = settings.data_folder()

    def probe() -> None:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass

    try:
        await to_thread.run_sync(probe)
    except OSError as error:
        return failed(
            "data folder",
            f"{folder} cannot be written ({error.strerror or error})",
            "run as its owner, or set LEADFLOOD_DATA to a folder that may be written",
        )
    return passed("data folder", f"{folder} can be written")


async def check_witness(settings: Settings) -> DoctorCheck:
    """Check that a data folder which is put back as a whole would be noticed."""
    path = settings.engine.witness_path
    if not path:
        finding = "none outside of the data folder: that one put back as a whole is not noticed"
        return warning("witness", finding, "set engine.witness_path to a folder on another disk")
    if await to_thread.run_sync(lambda: any(Path(path).glob("*.witness"))):
        return passed("witness", f"kept in {path} too")
    return warning(
        "witness",
        f"there is none in {path} yet",
        "start a node; if one runs, see that the folder is there and may be written",
    )


def check_http(settings: Settings) -> DoctorCheck:
    """Check that the API does not listen to the network without TLS."""
    http = settings.http
    where = f"{http.host}:{http.port}"
    if binding_warning := warning_of(http):
        return warning(
            "http", binding_warning, "put a proxy that speaks TLS before it and name its address"
        )
    return passed("http", f"serves on {where}")


def check_open_files(settings: Settings) -> DoctorCheck:
    """Check that as many connections as the settings name fit under the limit of open files."""
    limit, connections = read_limit(), limits_of(settings.http).in_all
    finding = f"up to {limit:,} at once, of which {connections:,} may be connections"
    if connections < settings.http.connections:
        return warning(
            "open files",
            f"{finding}: http.connections ({settings.http.connections:,}) does not fit",
            "raise the hard limit (`ulimit -Hn`, LimitNOFILE= of systemd, --ulimit nofile= of"
            " docker), or set http.connections lower",
        )
    return passed("open files", finding)


def check_providers(settings: Settings) -> list[DoctorCheck]:
    """Check that each provider has what it needs: keys and a price."""
    return [_check_provider(settings, name) for name in catalog.CATALOG]


def _check_provider(settings: Settings, name: str) -> DoctorCheck:
    provider, spec = settings.providers[name], catalog.CATALOG[name].spec
    title = f"provider {name}"
    if not provider.enabled:
        return passed(title, "disabled in the settings")
    if not catalog.is_configured(name, settings.providers):
        missing = catalog.list_missing(name, settings.providers)
        names = ", ".join(f"LEADFLOOD_PROVIDERS__{name.upper()}__{key.upper()}" for key in missing)
        return warning(title, "not configured: it is not called", f"set {names} to use it")
    if name in catalog.list_unpriced(settings.providers):
        return warning(
            title,
            "configured, but without a price: no budget can hold it",
            f"set providers.{name}.credit_price_micros to what one credit costs",
        )
    return passed(title, f"configured ({provider.base_url or spec.base_url})")


def check_verifier(settings: Settings) -> DoctorCheck:
    """Check that a provider says whether an e-mail address works: drafts go to no other."""
    names = catalog.list_implementing(EmailVerifier)
    if any(catalog.is_configured(name, settings.providers) for name in names):
        return passed("e-mail verifier", "configured")
    keys = " or ".join(f"providers.{name}.api_key" for name in names)
    return warning(
        "e-mail verifier",
        "none: nobody is drafted to by e-mail, but whose address a file calls valid",
        f"set {keys}",
    )


def check_mail(storage: Storage) -> DoctorCheck:
    """Check that the settings name a mail server, a sender and what the law asks for."""
    missing = storage.messaging().outbox.missing_settings(Channel.EMAIL)
    if not missing:
        return passed("mail settings", "complete")
    fix = f"set {', '.join(missing)}"
    is_sending = any(
        catalog.is_configured(name, storage.settings.providers)
        for name in catalog.list_senders(Channel.EMAIL)
    )
    if is_sending:
        return failed("mail settings", "incomplete: every e-mail waits for them", fix)
    return warning("mail settings", "no mail server is set: every e-mail waits for it", fix)
