"""Stored answers.

native_answer.py (an answer that continues without readers), thread_answer.py, checkpoints.py, stored_replay.py, database_answers.py
(answers for identical requests). May import routing, requests, store and the packages below them. Begin with native_answer.py.
"""
