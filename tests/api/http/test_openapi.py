import re
from pathlib import Path
from typing import Any

import msgspec
import pytest
from leadflood.api.routes import describe_api
from openapi_spec_validator import OpenAPIV31SpecValidator

from tests.support.api import Client

pytestmark = pytest.mark.pg


@pytest.fixture(scope="module")
async def document(api: Client) -> Any:
    return (await api.get("/openapi.json")).json


async def test_the_document_is_valid_openapi_3_1(document: Any) -> None:
    assert document["openapi"].startswith("3.1")
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []


async def test_every_route_names_a_permission_or_is_open_and_says_what_it_is(
    document: Any,
) -> None:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["summary"], (method, path)
            assert ("x-permission" in operation) != (operation["security"] == []), (method, path)
            assert any(status.startswith("2") for status in operation["responses"])


async def test_operations_have_names_of_their_own(document: Any) -> None:
    names = [
        operation["operationId"]
        for methods in document["paths"].values()
        for operation in methods.values()
    ]

    assert len(names) == len(set(names))


async def test_properties_are_camel_case(document: Any) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field in schema.get("properties", {}):
            assert "_" not in field, (name, field)


async def test_the_page_for_people_loads_nothing_from_elsewhere(api: Client) -> None:
    page = await api.get("/docs")
    script = await api.get("/docs/start.js")

    assert page.status == script.status == 200
    assert b"http" not in page.body.replace(b"<!doctype html>", b"")
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    assert b"/openapi.json" in script.body
    assert (await api.get("/docs/..%2fserver.py")).status == 404


def test_the_contract_that_is_published_is_the_one_that_is_served() -> None:
    """Drifted on purpose? `leadflood openapi > docs/openapi.json`, and look at the difference."""
    published = msgspec.json.decode(Path("docs/openapi.json").read_bytes())

    served = msgspec.json.decode(msgspec.json.encode(describe_api()))

    assert served == published


async def test_the_page_for_people_works_offline_under_its_strict_policy(api: Client) -> None:
    page = (await api.get("/docs")).body.decode()
    assets = re.findall(r'(?:src|href)="([^"]+)"', page)

    for path in assets:
        asset = await api.get(path)
        assert asset.status == 200, path
        assert asset.headers["X-Content-Type-Options"] == "nosniff"
        assert asset.headers["Content-Type"].startswith(
            "text/css" if path.endswith(".css") else "text/javascript"
        )
        loaded = re.findall(rb"url\(\s*[\"']?([^\"')\s]{0,12})", asset.body)
        assert path.endswith(".js") or all(source.startswith(b"data:") for source in loaded), path

    assert len(assets) == 3
    assert not re.search(r"<script(?![^>]*\bsrc=)", page), "an inline script would not run"
    assert not re.search(r"\son\w+=|javascript:", page)


async def test_every_answer_bears_the_headers_that_owasp_asks_for(api: Client) -> None:
    for path in ("/health", "/docs", "/v1/icps", "/v1/nowhere", "/v1/icps?x=1"):
        headers = (await api.get(path)).headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert headers["Cross-Origin-Opener-Policy"] == "same-origin"
        assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
        assert headers["X-Permitted-Cross-Domain-Policies"] == "none"
        assert headers["Cache-Control"] == "no-store"
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "unsafe-eval" not in headers["Content-Security-Policy"]
        assert "script-src 'unsafe-inline'" not in headers["Content-Security-Policy"]
        assert headers["Server"] == "leadflood"
        assert "X-Powered-By" not in headers


async def test_every_operation_tells_that_an_unknown_parameter_is_refused(
    api: Client, document: Any
) -> None:
    refused = await api.get("/health?odd=1")

    assert refused.status == 422
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert "422" in operation["responses"], (method, path)
