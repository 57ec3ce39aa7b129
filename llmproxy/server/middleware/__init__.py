"""Middleware: runs before the handler of every request.

gate.py calls the others in order: auth.py, origin.py, request_id.py, load_shedding.py, forwarding.py. May import context only.
Begin with gate.py.
"""
