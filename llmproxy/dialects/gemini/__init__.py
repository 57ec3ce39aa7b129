"""Gemini's own API: parses its requests, encodes its answers, and watches answers that Gemini itself gives."""
