import anyio
import pytest
from leadflood.api.http.in_flight import InFlightRequests, StoredResponse

KEY = b"k"


async def test_equal_requests_get_the_answer_of_the_first() -> None:
    requests, done_count, shared = InFlightRequests(), 0, list[object]()

    async def ask() -> None:
        nonlocal done_count
        async with requests.lock(KEY) as flight:
            if flight.response is None:
                await anyio.lowlevel.checkpoint()
                done_count += 1
                flight.response = StoredResponse(b"", "made")
            shared.append(flight.response.answer)

    async with anyio.create_task_group() as group:
        for _ in range(50):
            group.start_soon(ask)

    assert done_count == 1
    assert shared == ["made"] * 50
    assert len(requests) == 0


async def test_a_request_that_fails_or_is_canceled_leaves_the_key_to_the_next() -> None:
    requests = InFlightRequests()

    with pytest.raises(ValueError, match="no"):
        async with requests.lock(KEY):
            raise ValueError("no")
    with anyio.move_on_after(0):
        async with requests.lock(KEY):
            await anyio.sleep_forever()

    async with requests.lock(KEY) as flight:
        assert flight.response is None
    assert len(requests) == 0
