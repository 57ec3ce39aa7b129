"""Running and recently finished requests: running.py is one request with its task and the only way to stop it, registry.py all
of them.

replay_buffer.py stores events for resume, retention.py decides for how long, record.py writes the facts. shared_answers.py lets
identical requests (sameness.py) share one answer, and answer_cache.py stores it. May import observe and the packages below it.
Begin with running.py.
"""
