"""The list of routes is whole, and the framework below it knows no lead."""

import pkgutil
from pathlib import Path

import pytest
from leadflood.api import routes
from leadflood.api.http.routing import Signature, writes_unnoticed
from leadflood.api.routes import list_routes

from tests.support.tree import PACKAGE, identifiers, name_of, sources, texts, words

DOMAIN_WORDS = words(
    "lead leads company companies icp icps enrichment discovery scoring campaign inbox outreach"
)
SPOKEN_OF = {
    # rules of events stand by their names
    "leadflood/api/http/event_permissions.py": DOMAIN_WORDS,
}


def test_no_module_of_routes_is_forgotten_in_the_list() -> None:
    modules = {
        module.name for module in pkgutil.iter_modules(routes.__path__, "leadflood.api.routes.")
    }

    assert {route.handler.__module__ for route in list_routes()} == modules


def test_no_route_is_named_twice() -> None:
    names = [route.name for route in list_routes()]

    assert len(set(names)) == len(names)


def test_no_route_that_writes_forgets_its_transaction() -> None:
    handlers = [route for route in list_routes() if "." not in route.handler.__qualname__]

    assert handlers
    assert not [route.name for route in handlers if writes_unnoticed(route, Signature.of(route))]


@pytest.mark.parametrize("path", sources(PACKAGE / "api" / "http"), ids=name_of)
def test_the_framework_knows_no_lead(path: Path) -> None:
    spoken = SPOKEN_OF.get(name_of(path), set())

    found = {
        f"{name_of(path)}:{line}: {text[:60]!r} says {sorted(said)}"
        for line, text in (*identifiers(path), *texts(path))
        if (said := (words(text) & DOMAIN_WORDS) - spoken)
    }

    assert not found
