"""Handlers of the routes, one file per subject.

../routes.py is the table of all routes. May import streaming, middleware and context.
"""
