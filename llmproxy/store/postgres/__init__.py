"""A PostgreSQL server, for several machines.

engine.py (connecting, live processes), connection.py (PostgreSQL's own SQL), types.py (values and rows), placeholders.py,
schema.py (migrations), lexemes.py (words of a text). psycopg is imported only when a connection is opened.
"""
