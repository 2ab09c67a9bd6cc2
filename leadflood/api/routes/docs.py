"""The page that explains the other routes: Swagger UI, served without the network."""

import importlib.util
from pathlib import Path
from typing import Any

import msgspec
from anyio import to_thread

from leadflood.api.http.html import HTML
from leadflood.api.http.responses import RawResponse
from leadflood.api.http.routing import get
from leadflood.engine.errors import NotFound

_ASSETS = {
    "swagger-ui-bundle.js": "text/javascript; charset=utf-8",
    "swagger-ui.css": "text/css; charset=utf-8",
}
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self'; frame-ancestors 'none'"
)
_START = (
    b'window.onload=()=>SwaggerUIBundle({url:"/openapi.json",dom_id:"#ui",deepLinking:true,'
    b"validatorUrl:null});"
)
_PLAIN_SCRIPT = b"""
fetch('/openapi.json').then(r => r.json()).then(api => {
  const ui = document.getElementById('ui');
  for (const [path, methods] of Object.entries(api.paths))
    for (const [method, operation] of Object.entries(methods)) {
      const details = document.createElement('details');
      const summary = document.createElement('summary');
      summary.textContent = method.toUpperCase() + ' ' + path + ' : ' + operation.summary;
      const text = document.createElement('pre');
      text.textContent = JSON.stringify(operation, null, 2);
      details.append(summary, text);
      ui.append(details);
    }
});
"""
_SHELL = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>leadflood API</title>{style}</head>
<body><div id="ui"></div>{scripts}</body></html>
"""


class ApiDocument(msgspec.Struct, frozen=True, kw_only=True):
    """The content of the page: the OpenAPI document; `assets` None: Swagger UI is not installed."""

    json: bytes
    assets: Path | None


@get("/openapi.json", is_open=True, rate="watch", shows=dict[str, Any])
async def show_openapi(document: ApiDocument) -> RawResponse:
    """Show the OpenAPI 3.1 document of all routes."""
    return RawResponse(body=document.json, content_type="application/json")


@get("/docs", is_open=True, rate="watch", content_type=HTML)
async def show_docs(document: ApiDocument) -> RawResponse:
    """Show all routes to a person; nothing is loaded from elsewhere."""
    if document.assets is None:
        style, scripts = "", '<script src="/docs/start.js"></script>'
    else:
        style = '<link rel="stylesheet" href="/docs/swagger-ui.css">'
        scripts = (
            '<script src="/docs/swagger-ui-bundle.js"></script>'
            '<script src="/docs/start.js"></script>'
        )
    body = _SHELL.format(style=style, scripts=scripts).encode()
    return RawResponse(body=body, content_type=HTML, policy=_DOCS_POLICY)


@get(
    "/docs/{asset}",
    is_open=True,
    rate="watch",
    content_type="text/javascript",
    errors=(NotFound,),
)
async def show_asset(asset: str, document: ApiDocument) -> RawResponse:
    """Serve a file of the page."""
    folder = document.assets
    if asset == "start.js":
        body = _START if folder is not None else _PLAIN_SCRIPT
        return RawResponse(body=body, content_type="text/javascript; charset=utf-8")
    if folder is None or asset not in _ASSETS:
        raise NotFound(f"there is no file {asset!r} here", code="http.not_found")
    body = await to_thread.run_sync((folder / asset).read_bytes)
    return RawResponse(body=body, content_type=_ASSETS[asset])


def find_assets() -> Path | None:
    """Find Swagger UI in the package that ships it, without importing that package."""
    spec = importlib.util.find_spec("swagger_ui")
    if spec is None or spec.origin is None:
        return None
    return Path(spec.origin).parent / "static"
