"""The process.

process.py (from the first socket to the exit code), listener.py, workers.py, reload.py, drain.py, and what
looks periodically. Nothing in the server imports it. Begin with process.py.
"""
