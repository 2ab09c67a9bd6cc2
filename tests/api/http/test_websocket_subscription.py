import pytest
from leadflood.api.http.websocket_subscription import frame


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
def test_a_frame_is_encoded_as_the_standard_says(size: int) -> None:
    framed = frame(b"x" * size)

    head = {0: 2, 125: 2, 126: 4, 65_535: 4, 65_536: 10}[size]
    assert framed[0] == 0x81
    assert len(framed) == head + size
    assert int.from_bytes(framed[2:head], "big") in {0, size}
