"""A small HTTP framework on aiohttp: routing, middleware, idempotency, streaming."""
