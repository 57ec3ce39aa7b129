"""Bytes to events and back, without I/O: SSE, JSON, headers, provider errors, and normalised OpenAI chunks.

relay.py converts one reply from the provider's bytes to the client's; normalise/ has its steps, plain_events.py its fast path,
chat_accumulator.py makes one JSON answer of a stream. May import core. Begin with sse.py, then relay.py.
"""
