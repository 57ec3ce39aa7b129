"""One light process that makes every model look like OpenAI."""

__version__ = "0.1.0"
