"""What every request passes before its handler.

gate.py has the order; auth.py, origin.py, request_id.py, load_shedding.py, forwarding.py do it. May import
context only. Begin with gate.py.
"""
