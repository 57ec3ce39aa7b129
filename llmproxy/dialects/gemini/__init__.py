"""Gemini's own API, as its clients speak it: requests read, answers written, and watched where Gemini itself answers."""
