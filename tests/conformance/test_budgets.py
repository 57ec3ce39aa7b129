"""The budget torture, against this gateway and against one that charges afterwards."""

from __future__ import annotations

from contextlib import suppress

import pytest
from aiohttp import ClientError, ClientSession, web

from llmproxy.testing.conformance.budgets import torture
from tests.gateway import free_port, running_gateway

KEY = "a-key-of-some-length-for-this"


def config(port: int, limit: float) -> str:
    return f"""
        [[server.keys]]
        name = "tortured"
        secret = "{KEY}"
        budget = "{limit}/total"
        [providers.openai]
        adapter = "compatible"
        base_url = "http://127.0.0.1:{port}/v1"
        list_models = false
        breaker = {{ failures = 100000, samples = 1000 }}
        [prices]
        "openai/*" = {{ input = 0, output = 10 }}
        """


@pytest.mark.timeout(180)
async def test_this_gateway_spends_what_there_is_and_no_more() -> None:
    port = free_port()
    with running_gateway(config(port, 0.9)) as gateway:
        outcome = await torture(gateway.url, port, "openai/fake-model", KEY, 0.9, 10.0)
    # What is on its way when a stream is broken off depends on how busy this machine is: that bound is not asserted here.
    failed = [(name, seen) for name, passed, seen in outcome.checks if not passed and not name.startswith("overspend")]
    assert failed == []
    assert outcome.spent <= 1.5 * outcome.limit
    assert outcome.answered > 200


@pytest.mark.thorough
async def test_a_gateway_that_charges_afterwards_is_found_out() -> None:
    """Everything passes on until the sum of what has ended is over the limit."""
    port, sums = free_port(), [0]

    async def ask(request: web.Request) -> web.StreamResponse:
        if sums[0] * 10 / 1e6 > 0.05:
            return web.json_response({"error": {"message": "Budget has been exceeded"}}, status=400)
        body = await request.read()
        async with ClientSession() as session, session.post(f"http://127.0.0.1:{port}/v1/x", data=body) as response:
            reply = web.StreamResponse()
            await reply.prepare(request)
            with suppress(ClientError):
                async for piece in response.content.iter_any():
                    await reply.write(piece)
            sums[0] += 300
        return reply

    app = web.Application()
    app.router.add_post("/v1/chat/completions", ask)
    runner = web.AppRunner(app)
    await runner.setup()
    own = free_port()
    await web.TCPSite(runner, "127.0.0.1", own).start()
    try:
        outcome = await torture(f"http://127.0.0.1:{own}", port, "openai/fake-model", KEY, 0.05, 10.0)
    finally:
        await runner.cleanup()
    failed = [name for name, passed, _ in outcome.checks if not passed]
    assert "overspend: at most two frames of each stream that was broken off" in failed
    assert outcome.spent > 2 * 0.05
