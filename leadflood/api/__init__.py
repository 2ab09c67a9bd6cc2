"""The HTTP edge: the only place that knows the server side of aiohttp."""
