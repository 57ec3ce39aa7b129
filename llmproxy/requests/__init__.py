"""Running and remembered requests: running.py is one request with its task and its only stop, registry.py all of them.

replay_buffer.py keeps the events for those who resume, retention.py says how long, record.py writes what is
known. shared_answers.py lets requests that are the same (sameness.py) share one answer, and answer_cache.py keeps it.
May import observe and what is below. Begin with running.py.
"""
