"""The embedded database.

engine.py, connection.py (SQLite's own SQL), database.py (schema and migrations), processes.py (live processes), backup.py.
"""
