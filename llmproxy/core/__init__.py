"""Core data types and contracts of the gateway, without I/O. All other packages use them.

chat.py (a request), lifecycle.py (phases and outcomes of a request), trace.py and record.py (what happened to it),
usage.py, errors.py (all failures), adapter.py and opener.py (the two contracts), replay.py, adapter_registry.py,
ids.py, clock.py. Imports no other package of the gateway. Begin with chat.py, then adapter.py and opener.py.
"""
