"""The embedded database.

engine.py, connection.py (what SQLite says in its own words), database.py (schema and migrations), processes.py (who is alive),
backup.py.
"""
