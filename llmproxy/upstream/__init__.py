"""One attempt at a provider.

exchange.py sends the request and brings the reply to its first real frame; http/ is the client. idle_timer.py
notices that nothing comes any more. May import observe and what is below. Begin with exchange.py.
"""
