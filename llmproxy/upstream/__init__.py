"""One attempt at a provider.

exchange.py sends the request and reads the reply up to its first content chunk; frames.py gives all that follows; http/ is
the client. adapter_calls.py is the barrier around adapters' methods, idle_timer.py the idle timeout. May import observe
and what is below. Begin with exchange.py.
"""
