from uuid import UUID

import msgspec
from leadflood.domain.lead_views.schemas import LeadDetail
from leadflood.domain.lead_views.service.page_cache import LeadPageCache

IDS = [UUID(int=number) for number in range(1, 6)]


def a_page(lead_id: UUID, source: str = "api") -> LeadDetail:
    values = {field.encode_name: None for field in msgspec.structs.fields(LeadDetail)} | {
        "id": lead_id,
        "version": 1,
        "status": "new",
        "source": source,
        "values": {},
        "provenance": [],
        "keys": [],
        "merged": [],
        "records": [],
        "messages": [],
        "optIns": [],
        "costMicros": 0,
        "tags": [],
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-01-01T00:00:00Z",
    }
    return msgspec.convert(values, LeadDetail, strict=False)


def test_a_page_is_cached_for_as_long_as_its_mark_is_the_same() -> None:
    cache = LeadPageCache()
    cache.record({IDS[0]: "a"}, {IDS[0]: a_page(IDS[0])})

    same, changed = cache.find({IDS[0]: "a"})
    other, reread = cache.find({IDS[0]: "b"})

    assert (list(same), changed) == ([IDS[0]], [])
    assert (other, reread) == ({}, [IDS[0]])
    assert msgspec.json.encode(same[IDS[0]].body) == msgspec.json.encode(a_page(IDS[0]))


def test_a_new_page_replaces_the_old_one() -> None:
    cache = LeadPageCache()
    cache.record({IDS[0]: "a"}, {IDS[0]: a_page(IDS[0])})

    cache.record({IDS[0]: "b"}, {IDS[0]: a_page(IDS[0], "csv")})

    pages, _ = cache.find({IDS[0]: "b"})
    assert pages[IDS[0]].lead.source == "csv"
    assert cache.find({IDS[0]: "a"}) == ({}, [IDS[0]])


def test_the_oldest_pages_make_room() -> None:
    room = 2 * len(msgspec.json.encode(a_page(IDS[0])))
    cache = LeadPageCache(room)
    marks = dict.fromkeys(IDS, "a")

    for lead_id in IDS:
        cache.record(marks, {lead_id: a_page(lead_id)})

    pages, changed = cache.find(marks)
    assert list(pages) == IDS[-2:]
    assert changed == IDS[:-2]
