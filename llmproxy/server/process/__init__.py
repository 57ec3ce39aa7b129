"""The server process.

process.py (from the first socket to the exit code), listener.py, workers.py, reload.py, drain.py, and periodic checks. No other
part of the server imports it. Begin with process.py.
"""
