"""Answers that are kept.

native_answer.py (an answer that outlives its readers), thread_answer.py, checkpoints.py, stored_replay.py,
answer_shelf.py (answers for requests that are the same).
May import routing, requests, store and what is below. Begin with native_answer.py.
"""
