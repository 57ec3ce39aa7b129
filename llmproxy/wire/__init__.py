"""Bytes to events and back, without I/O: SSE, JSON, headers, provider errors, and OpenAI's chunks put right.

relay.py carries one reply from the provider's bytes to the client's; normalise/ has its steps,
plain_events.py its fast path, chat_fold.py makes one answer of a stream. May import core. Begin with sse.py,
then relay.py.
"""
