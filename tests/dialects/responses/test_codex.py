"""What Codex asks beside its answers."""

from __future__ import annotations

from tests.dialects.responses.house import House

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket", "Sec-WebSocket-Version": "13", "Sec-WebSocket-Key": "a2V5"}


async def test_a_websocket_is_answered_with_426(house: House) -> None:
    status, body = await house.call("GET", "/v1/responses", **UPGRADE)
    assert (status, body["error"]["code"]) == (426, "websocket_unsupported")


async def test_a_426_names_the_protocol_to_use(house: House) -> None:
    async with house.client.get(f"{house.url}/v1/responses", headers=UPGRADE) as refused:
        assert refused.headers["Upgrade"] == "HTTP/1.1"
        assert "upgrade" in refused.headers["Connection"].lower()
        assert (await refused.json())["error"]["code"] == "websocket_unsupported"


async def test_its_model_list_has_both_shapes(house: House) -> None:
    _, listed = await house.call("GET", "/v1/models?client_version=0.171.0")
    assert listed["models"] == []
    assert listed["data"]
    _, listed = await house.call("GET", "/v1/models")
    assert "models" not in listed
