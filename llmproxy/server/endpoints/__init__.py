"""The handlers of the routes, one file for each subject.

../routes.py is the table of them all. May import streaming, middleware and context.
"""
