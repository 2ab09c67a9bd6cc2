"""Client networks: the unit in which failed logins are counted by address. Pure."""

import ipaddress

MAX_CHARS = 64


def client_network(address: str) -> str:
    """Return an IPv4 address as it is, mapped or not, and an IPv6 address as its /64.

    A customer of IPv6 has a whole /64. What is no address (a Unix socket) stays as it is.
    """
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address[:MAX_CHARS]
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)
