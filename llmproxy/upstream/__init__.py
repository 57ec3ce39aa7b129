"""One attempt at a provider.

provider.py is a provider as an opener; exchange.py is one attempt: it sends the request and reads the reply up to its first
content chunk (first_content.py); frames.py returns everything after it; http/ is the client. translation.py translates the
request if the provider does not have the client's API, refusals.py reads an error status, attempt_end.py records usage and
cost. adapter_calls.py catches exceptions of adapters, idle_timer.py is the idle timeout. May import observe and the packages
below it. Begin with exchange.py.
"""
