"""Sends answers to clients.

direct.py (the request's task writes), detached.py and replay.py (a buffer and its readers), keepalive.py. request_task.py
starts the task and waits for it. May import middleware and context. Begin with request_task.py.
"""
