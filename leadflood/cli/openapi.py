"""`leadflood openapi`: the contract of the HTTP API, as OpenAPI 3.1."""

import msgspec

from leadflood.api.routes import describe_api
from leadflood.cli.console import print_data


def openapi() -> None:
    """Print the OpenAPI 3.1 document of the HTTP API."""
    plain = msgspec.json.encode(describe_api())
    print_data(msgspec.json.format(plain, indent=2).decode())
