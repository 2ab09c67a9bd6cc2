"""The two routes as a competent person writes them by hand: aiohttp, asyncpg, a statement each.

A bearer token is checked, the body is validated, the id is parsed, the pool is warm; there is no
request id, no limit, no idempotency, no problem document. Uvloop and one process, like ours.
"""

import asyncio
import hmac
import json
import sys
from datetime import UTC, datetime
from hashlib import sha256
from uuid import NAMESPACE_DNS, UUID, uuid5

import asyncpg
import msgspec
import uuid_utils
import uvloop
from aiohttp import web

SPEC = json.loads(sys.argv[1])
TOKEN = f"Bearer {SPEC['token']}".encode()


class NewLead(msgspec.Struct, forbid_unknown_fields=True, rename="camel"):
    """What may be sent."""

    email: str
    full_name: str
    title: str
    country: str
    icp_id: UUID
    providers: list[str] = []


class Made(msgspec.Struct, rename="camel"):
    """What is answered."""

    lead_id: UUID
    job_id: UUID
    run_id: UUID


decode = msgspec.json.Decoder(NewLead).decode
encode = msgspec.json.encode


def new_id() -> UUID:
    return UUID(int=uuid_utils.uuid7().int)


def check(request: web.Request) -> None:
    arguments = request.headers.get("Authorization", "").encode()
    if not hmac.compare_digest(arguments, TOKEN):
        raise web.HTTPUnauthorized


class Api:
    """The routes."""

    def __init__(self, pool: asyncpg.Pool) -> None:
        self.pool = pool

    async def get(self, request: web.Request) -> web.Response:
        check(request)
        try:
            lead_id = UUID(request.match_info["leadId"])
        except ValueError:
            raise web.HTTPUnprocessableEntity from None
        row = await self.pool.fetchval(SPEC["show_lead"], lead_id)
        if row is None:
            raise web.HTTPNotFound
        return web.Response(text=row, content_type="application/json")

    async def post(self, request: web.Request) -> web.Response:
        check(request)
        raw = await request.read()
        try:
            new = decode(raw)
        except msgspec.MsgspecError:
            raise web.HTTPUnprocessableEntity from None
        email = new.email.strip().lower()
        domain = email.partition("@")[2]
        if not domain:
            raise web.HTTPUnprocessableEntity
        created = Made(new_id(), new_id(), new_id())
        payload = {"type": "leads.lead.created", "lead_id": created.lead_id, "icp_id": new.icp_id}
        values = {
            "email": email,
            "full_name": new.full_name,
            "title": new.title,
            "country": new.country,
            "company_domain": domain,
        }
        arguments = {
            "lead_id": created.lead_id,
            "run_id": created.run_id,
            "job_id": created.job_id,
            "event_id": new_id(),
            "company_id": uuid5(NAMESPACE_DNS, domain),
            "email": email,
            "name_key": f"{new.full_name.lower()}|{domain}",
            "domain": domain,
            "full_name": new.full_name,
            "title": new.title,
            "country": new.country,
            "words": sorted({*new.full_name.lower().split(), *new.title.lower().split(), email}),
            "now": datetime.now(UTC),  # noqa: TID251 - by hand, as others write it
            "evidence": sha256(raw).digest(),
            "value_ids": [new_id() for _ in values],
            "fields": list(values),
            "values": [encode(value).decode() for value in values.values()],
            "payload": encode(payload).decode(),
            "job_key": f"enrichment.run:{created.run_id}:{created.lead_id}",
        }
        arranged = [arguments[name] for name in SPEC["add_lead_names"]]
        if await self.pool.fetchval(SPEC["add_lead"], *arranged) is None:
            raise web.HTTPConflict
        return web.Response(body=encode(created), status=201, content_type="application/json")


async def main() -> None:
    async with asyncpg.create_pool(SPEC["url"], min_size=16, max_size=16) as pool:
        api = Api(pool)
        app = web.Application()
        app.router.add_get("/v1/leads/{leadId}", api.get)
        app.router.add_post("/v1/leads", api.post)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main())
