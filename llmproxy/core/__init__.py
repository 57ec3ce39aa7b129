"""The nouns of the gateway, without I/O: what everything else is written with.

chat.py (a question), lifecycle.py (the tables of a request's life), trace.py and record.py (what happened to
it), usage.py, errors.py (every way to fail), adapter.py and opener.py (the two contracts), replay.py,
adapter_registry.py, ids.py, clock.py. Imports nothing of the gateway. Begin with chat.py, then adapter.py and
opener.py.
"""
