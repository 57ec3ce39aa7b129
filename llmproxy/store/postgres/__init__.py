"""A PostgreSQL server, for several machines.

engine.py (connecting, who is alive), connection.py (what PostgreSQL says in its own words), types.py (values and rows),
placeholders.py, schema.py (migrations), lexemes.py (words of a text). psycopg is imported by whoever opens a connection.
"""
