"""The providers that coding agents work with, each on its own wire: what it reads of a conversation, and a turn of its model.

turn.py is what all of them say and read, chat.py, messages.py, responses.py and gemini.py are the wires, and provider.py is the
whole: it finds out which turn is next from the conversation alone. Nothing here uses the gateway's own code of a dialect.
"""
