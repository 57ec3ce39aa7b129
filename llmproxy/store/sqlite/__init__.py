"""The embedded database.

database.py (schema and migrations), worker.py (the threads), processes.py (who is alive), backup.py.
"""
