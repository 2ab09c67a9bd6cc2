"""All knobs on one page: each part's own `Settings`, read from file, environment and secret files.

    config/leadflood.toml  <  LEADFLOOD_SECTION__KEY  <  LEADFLOOD_SECTION__KEY_FILE (a secret)

A dot in a path is `__` in a variable, also the one in a stage's name:
LEADFLOOD_STAGES__ENRICHMENT__RUN__CONCURRENCY is `stages.enrichment.run.concurrency`.
`DATABASE_URL` is honored; `LEADFLOOD_DATA` names the data folder; `LEADFLOOD_CONFIG` the file;
`LEADFLOOD_MODE` the mode.
An unknown key is refused with its path.
"""

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from leadflood.api.http.settings import Settings as HttpSettings
from leadflood.contracts.ports.people import PersonEnricher
from leadflood.contracts.provider_spec import ProviderSettings
from leadflood.domain.auth.schemas.settings import Settings as AccountSettings
from leadflood.domain.drafting.schemas import Settings as MessagingSettings
from leadflood.domain.drafting.service.texts import check_settings
from leadflood.domain.duplicates.schemas import Settings as DuplicateSettings
from leadflood.domain.enrichment.schemas import Settings as EnrichmentSettings
from leadflood.domain.notifications.schemas import Settings as NotificationSettings
from leadflood.engine.db.pool import Settings as DatabaseSettings
from leadflood.engine.errors import FieldProblem, Invalid
from leadflood.engine.ledger.caps import Caps
from leadflood.engine.net.client import Settings as ClientSettings
from leadflood.engine.net.gateway import Settings as GateSettings
from leadflood.engine.obs.log import Settings as LogSettings
from leadflood.engine.obs.sentry import Settings as SentrySettings
from leadflood.engine.obs.tracing import Settings as TraceSettings
from leadflood.engine.queue.stage import Policy
from leadflood.engine.runtime import Settings as EngineSettings
from leadflood.engine.text import hidden_signs, is_one_line
from leadflood.pipeline import STAGES
from leadflood.providers import catalog

PREFIX = "LEADFLOOD_"
SECRET_WORDS = ("key", "secret", "password", "token", "url", "dsn")
PROVIDER_NAMES = tuple(catalog.CATALOG)
ENRICHER_NAMES = catalog.list_implementing(PersonEnricher)
AT_LEAST_ONE = frozenset(
    {
        "pool_size",
        "concurrency",
        "batch",
        "attempts",
        "connections",
        "connections_per_address",
        "streams",
        "streams_per_user",
        "connections_per_host",
        "account_failures",
        "address_failures",
        "argon2_passes",
        "body_bytes",
        "import_bytes",
        "max_subject",
        "max_body",
        "loss_patience",
    }
)
OF_MANY_LINES = frozenset({"postal_address"})
MOST_PORT = 65_535
MIN_TOKEN_CHARS = 32
_USER_AND_PASSWORD = re.compile(r"[^\s:@/]+:\S*@")

SettingsT = TypeVar("SettingsT", bound=msgspec.Struct)


class BudgetSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Caps over all providers, in micro-units of `currency`. None means no cap.

    `user_day_micros` is what the runs of one user may cost a day, over all of them.
    """

    currency: str = "EUR"
    day_micros: int | None = 50_000_000
    month_micros: int | None = None
    user_day_micros: int | None = 20_000_000
    run_micros: int | None = 5_000_000
    lead_micros: int | None = None


def _providers() -> dict[str, ProviderSettings]:
    return {name: ProviderSettings() for name in PROVIDER_NAMES}


def _policies() -> dict[str, Policy]:
    return {name: stage.default_policy for name, stage in STAGES.items()}


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Everything that can be set. `data` is the folder of the embedded server and of our locks.

    `mode` is written in a new database and checked afterwards: `sandbox` never meets real data.
    `stages` holds how each stage runs, by its name; `enrichment.order` is the catalog's by default.
    """

    mode: Literal["live", "sandbox"] = "live"
    data: str = "./leadflood-data"
    log: LogSettings = LogSettings()
    http: HttpSettings = HttpSettings()
    trace: TraceSettings = TraceSettings()
    sentry: SentrySettings = SentrySettings()
    accounts: AccountSettings = AccountSettings()
    database: DatabaseSettings = DatabaseSettings()
    engine: EngineSettings = EngineSettings()
    stages: dict[str, Policy] = msgspec.field(default_factory=_policies)
    net: ClientSettings = ClientSettings()
    gate: GateSettings = GateSettings()
    budget: BudgetSettings = BudgetSettings()
    enrichment: EnrichmentSettings = EnrichmentSettings(order=ENRICHER_NAMES)
    messaging: MessagingSettings = MessagingSettings()
    duplicates: DuplicateSettings = DuplicateSettings()
    notifications: NotificationSettings = NotificationSettings()
    providers: dict[str, ProviderSettings] = msgspec.field(default_factory=_providers)

    def caps(self) -> dict[str, Caps]:
        """Return each provider's own renewing caps."""
        return {
            name: Caps(provider.day_cap_micros, provider.month_cap_micros)
            for name, provider in self.providers.items()
            if provider.day_cap_micros is not None or provider.month_cap_micros is not None
        }

    def by_struct(self) -> dict[type[msgspec.Struct], msgspec.Struct]:
        """Return each part's settings by their struct, and by those that it extends."""
        parts = (getattr(self, name) for name in self.__struct_fields__)
        return {
            kind: part
            for part in parts
            if isinstance(part, msgspec.Struct)
            for kind in type(part).__mro__
            if issubclass(kind, msgspec.Struct) and kind is not msgspec.Struct
        }

    def data_folder(self) -> Path:
        """Return the data folder as an absolute path."""
        return Path(self.data).expanduser().resolve()


class LoadedSettings(Settings, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Settings with the source of each value by path: `file`, `environment`, `secret file`."""

    sources: dict[str, str]


def load_settings(
    file: Path | None = None, environment: Mapping[str, str] | None = None
) -> Settings:
    """Read the settings.

    Raises: Invalid with the key's path and the fix.
    """
    env = os.environ if environment is None else environment
    config_path = file or (Path(env["LEADFLOOD_CONFIG"]) if env.get("LEADFLOOD_CONFIG") else None)
    tree: dict[str, Any] = _read_file(config_path) if config_path is not None else {}
    sources = {path: "file" for path, _ in _leaves("", tree)}
    for path, value, source in _from_environment(env):
        _put(tree, path, value)
        sources[".".join(path)] = source
    if (url := env.get("DATABASE_URL")) and not _names(env, "LEADFLOOD_DATABASE__URL"):
        _put(tree, ["database", "url"], url)
        sources["database.url"] = "environment"
    for name in ("data", "mode"):
        if value := env.get(f"{PREFIX}{name.upper()}"):
            tree[name] = value
            sources[name] = "environment"
    settings = convert(tree)
    if not sources:
        return settings
    named = {name: getattr(settings, name) for name in settings.__struct_fields__}
    return LoadedSettings(**named, sources=sources)


def convert(tree: Mapping[str, Any]) -> Settings:
    """Turn a tree of plain values into settings. Raises: Invalid."""
    _check_providers(tree.get("providers", {}))
    settings = _convert({**tree, **_with_defaults(tree)}, Settings)
    complete = {**_providers(), **settings.providers}
    with_providers = msgspec.structs.replace(settings, providers=complete)
    _check_values(with_providers)
    return with_providers


def _convert(tree: object, into: type[SettingsT], path: str = "") -> SettingsT:
    try:
        return msgspec.convert(tree, into, strict=False)
    except msgspec.ValidationError as error:
        raise _invalid(str(error), path) from error


def _with_defaults(tree: Mapping[str, Any]) -> dict[str, Any]:
    """Return the tree's parts that have defaults in the catalog and the pipeline."""
    complete: dict[str, Any] = {}
    if isinstance(enrichment := tree.get("enrichment", {}), Mapping):
        complete["enrichment"] = {"order": ENRICHER_NAMES, **enrichment}
    if isinstance(stages := tree.get("stages", {}), Mapping):
        complete["stages"] = _read_stages(stages)
    return complete


def _read_stages(stages: Mapping[str, Any]) -> dict[str, Any]:
    """Lay what is set for stages over their defaults; a dot in a name is a level, or quoted."""
    policies: dict[str, Any] = msgspec.to_builtins(_policies())
    for path, value in _leaves("", stages):
        name, _, key = path.rpartition(".")
        if name not in policies:
            raise _unknown("stage", "stages", name or path, tuple(policies))
        policies[name][key] = value
    for name, policy in policies.items():
        _convert(policy, Policy, f"stages.{name}")
    return policies


def _check_values(settings: Settings) -> None:
    """Refuse invalid numbers, texts that are not one line, and providers that do not exist."""
    problems = [
        FieldProblem(path, problem)
        for path, value in _leaves("", msgspec.to_builtins(settings))
        if (problem := _problem_of(path.rpartition(".")[2], value))
    ]
    if 0 < len(settings.http.token) < MIN_TOKEN_CHARS:
        problem = f"write at least {MIN_TOKEN_CHARS} characters, such as `openssl rand -hex 32`"
        problems.append(FieldProblem("http.token", problem))
    problems += [
        FieldProblem("enrichment.order", f"{name!r}: use {', '.join(ENRICHER_NAMES)}")
        for name in settings.enrichment.order
        if name not in ENRICHER_NAMES
    ]
    problems += check_settings(settings.messaging)
    if problems:
        raise Invalid.of(problems, prefix="settings", code="settings.invalid")


def _problem_of(name: str, value: Any) -> str:
    if isinstance(value, str):
        return _problem_of_text(name, value)
    if not isinstance(value, int | float):
        return ""
    return _problem_of_number(name, value)


def _problem_of_text(name: str, value: str) -> str:
    if is_one_line(value) or (name in OF_MANY_LINES and not hidden_signs(value)):
        return ""
    return "write it on one line, all of it visible"


def _problem_of_number(name: str, value: float) -> str:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124 - not a number
        return "write a number"
    if name in AT_LEAST_ONE and value < 1:
        return "write a number from 1"
    if name == "port" and value > MOST_PORT:
        return f"write a number up to {MOST_PORT}"
    return "write a number from 0" if value < 0 else ""


def _check_providers(providers: object) -> None:
    if not isinstance(providers, Mapping):
        return
    unknown_names = sorted(set(providers) - set(PROVIDER_NAMES))
    if unknown_names:
        raise _unknown("provider", "providers", unknown_names[0], PROVIDER_NAMES)
    for name, provider in providers.items():
        _convert(provider, ProviderSettings, f"providers.{name}")


def _unknown(kind: str, section: str, name: str, names: tuple[str, ...]) -> Invalid:
    valid_names = ", ".join(names)
    return Invalid(
        f"settings: {section}.{name}: there is no such {kind}; use one of {valid_names}",
        (FieldProblem(f"{section}.{name}", f"use one of {valid_names}"),),
        code="settings.invalid",
    )


def _invalid(text: str, below: str = "") -> Invalid:
    problem, _, where = text.partition(" - at `$")
    path = f"{below}{where.rstrip('`')}".lstrip(".") or "(top level)"
    return Invalid(
        f"settings: {path}: {problem}", (FieldProblem(path, problem),), code="settings.invalid"
    )


def _read_file(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise Invalid(f"settings file {path} does not exist", code="settings.missing") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise Invalid(f"settings file {path}: {error}", code="settings.unreadable") from error


def _from_environment(env: Mapping[str, str]) -> Iterator[tuple[list[str], Any, str]]:
    """Find `LEADFLOOD_A__B` and where it is from; JSON lists and tables are read as such."""
    for name in sorted(env):
        if not name.startswith(PREFIX) or "__" not in name:
            continue
        key, value, source = name, env[name], "environment"
        if name.endswith("_FILE"):
            key, value = name.removesuffix("_FILE"), _read_secret(name, value)
            source = "secret file"
        path = [part.lower() for part in key.removeprefix(PREFIX).split("__")]
        # a provider's own settings have no types: a switch or number is told by how it is written
        yield path, (_scalar(value) if "extra" in path[:-1] else _plain(value)), source


def _read_secret(name: str, path: str) -> str:
    try:
        return Path(path).read_text("utf-8").strip()
    except OSError as error:
        raise Invalid(f"{name}: cannot read {path}: {error}", code="settings.unreadable") from error


def _scalar(value: str) -> Any:
    try:
        scalar = msgspec.json.decode(value)
    except msgspec.DecodeError:
        return value
    return scalar if isinstance(scalar, bool | int | float) else _plain(value)


def _plain(value: str) -> Any:
    if value[:1] in ("[", "{"):
        try:
            return msgspec.json.decode(value)
        except msgspec.DecodeError:
            return value
    return value


def _put(tree: dict[str, Any], path: list[str], value: Any) -> None:
    for part in path[:-1]:
        tree = tree.setdefault(part, {})
        if not isinstance(tree, dict):
            raise Invalid(
                f"settings: {'.'.join(path)}: {part} is one value in the file: make it a table"
                f" ([{part}]), or unset {PREFIX}{'__'.join(path).upper()}",
                code="settings.invalid",
            )
    tree[path[-1]] = value


def _names(env: Mapping[str, str], name: str) -> bool:
    return bool(env.get(name) or env.get(f"{name}_FILE"))


def list_settings(settings: Settings) -> list[tuple[str, str]]:
    """List every effective setting by its path, secrets masked."""
    return [(path, value) for path, value, _ in explain_settings(settings)]


def explain_settings(settings: Settings) -> list[tuple[str, str, str]]:
    """List every effective setting by its path, secrets masked, with where it came from.

    Beside those in `sources`: `default`, and `command` for values of neither file nor environment.
    """
    defaults = dict(_leaves("", msgspec.to_builtins(Settings())))
    sources = settings.sources if isinstance(settings, LoadedSettings) else {}
    return [
        (
            path,
            _masked(path.rpartition(".")[2], value),
            _source_of(path, sources)
            or ("default" if path in defaults and defaults[path] == value else "command"),
        )
        for path, value in _leaves("", msgspec.to_builtins(settings))
        if not path.startswith("sources.")
    ]


def _source_of(path: str, sources: Mapping[str, str]) -> str:
    """Find where a value came from, or the table that it stands in; empty: nowhere."""
    while path not in sources and "." in path:
        path = path.rpartition(".")[0]
    return sources.get(path, "")


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from _leaves(f"{path}.{key}" if path else str(key), inner)
        return
    yield path, value


def _mask_url(text: str) -> str:
    """Mask what an address may hold of secrets: a password or token, and all it asks with.

    A password may hold any sign, so all before the last `@` belongs to it.
    """
    scheme, mark, rest = text.partition("://") if "://" in text else ("", "", text)
    if not mark and (not _USER_AND_PASSWORD.match(text) or text.startswith("mailto:")):
        return text
    secret, at, host = rest.rpartition("@")
    user, colon, _ = secret.partition(":")
    address, *question = re.split(r"[?#]", host, maxsplit=1)
    user_part = f"{user}:" * bool(colon)
    return f"{scheme}{mark}{user_part}{'******@' * bool(at)}{address}{'?******' * bool(question)}"


def _masked(name: str, value: Any) -> str:
    text = "" if value is None else str(value)
    is_secret = any(word in name for word in SECRET_WORDS) and name not in {
        "base_url",
        "public_url",
    }
    if not text or not is_secret:
        return _mask_url(text)
    return f"{'*' * 6}{text[-2:]}" if len(text) > 12 else "*" * 6  # noqa: PLR2004 - long enough to show an end
