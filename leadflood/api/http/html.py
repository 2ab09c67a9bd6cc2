"""Plain pages for people: no script, nothing loaded from elsewhere."""

import base64
import hashlib
from html import escape
from http import HTTPStatus

from leadflood.api.http.responses import RawResponse

HTML = "text/html; charset=utf-8"
_STYLE = (
    "body{font:18px/1.5 system-ui,sans-serif;max-width:32em;margin:15vh auto;padding:0 1em}"
    "button,input{font:inherit;padding:.5em 1em}label{display:block;margin:1em 0}"
    "input{display:block;width:100%;box-sizing:border-box}.wrong{color:#a00}"
)
_STYLE_HASH = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_POLICY = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'"
)
_SHELL = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{title}</title>
<meta name="viewport" content="width=device-width"><meta name="robots" content="noindex">
<style>{style}</style></head>
<body><h1>{title}</h1>{text}</body></html>
"""


def page(title: str, text: str, status: HTTPStatus = HTTPStatus.OK) -> RawResponse:
    """Return an HTML page; `text` is HTML that its writer has escaped."""
    return RawResponse(
        body=_SHELL.format(title=escape(title), text=text, style=_STYLE).encode(),
        content_type=HTML,
        status=status.value,
        policy=_POLICY,
    )
