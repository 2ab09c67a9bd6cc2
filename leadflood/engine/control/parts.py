"""All that operators may ask and change of one life of a node."""

from collections.abc import Awaitable, Callable, Collection, Sequence

import msgspec

from leadflood.engine.control.budgets import BudgetControl
from leadflood.engine.control.metrics import MetricsReader
from leadflood.engine.control.providers import ProviderControl
from leadflood.engine.control.readiness import Readiness
from leadflood.engine.control.settings import EffectiveSettings, ExplainSettings
from leadflood.engine.control.stages import StageControl
from leadflood.engine.control.statistics import Statistics
from leadflood.engine.live_overrides import LiveOverrides
from leadflood.engine.net.gateway import ProviderGateway
from leadflood.engine.runtime import Engine


class ControlParts(msgspec.Struct, frozen=True, kw_only=True):
    """Parts that operators watch and change.

    `engine`, `gateway`, `live_overrides`: those of the node's present life.
    `provider_names`: all providers; `configured`: those that can work.
    `currency`: what budgets count in.
    `explain_settings`: lists the settings of the files.
    `find_secret_trouble`: says what became of the node's secret; empty: nothing.
    """

    engine: Engine
    gateway: ProviderGateway
    live_overrides: LiveOverrides
    provider_names: Sequence[str]
    configured: Collection[str]
    currency: str
    explain_settings: ExplainSettings
    find_secret_trouble: Callable[[], Awaitable[str]]


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """Use cases of operators.

    `stages`: the actor tree, nodes and switches.
    `providers`, `budgets`: limits and caps.
    `settings`: those in force.
    `statistics`, `metrics`: numbers, for people and for Prometheus.
    `readiness`: whether this node can work.
    """

    stages: StageControl
    providers: ProviderControl
    budgets: BudgetControl
    settings: EffectiveSettings
    statistics: Statistics
    metrics: MetricsReader
    readiness: Readiness


def make_control(parts: ControlParts) -> Control:
    """Build what operators may ask and change."""
    engine, live_overrides = parts.engine, parts.live_overrides
    return Control(
        stages=StageControl(engine),
        providers=ProviderControl(
            engine, parts.gateway, live_overrides, parts.provider_names, parts.configured
        ),
        budgets=BudgetControl(engine, live_overrides, parts.currency),
        settings=EffectiveSettings(parts.explain_settings, live_overrides, parts.provider_names),
        statistics=Statistics(engine, live_overrides),
        metrics=MetricsReader(engine, parts.gateway),
        readiness=Readiness(engine, parts.find_secret_trouble),
    )
