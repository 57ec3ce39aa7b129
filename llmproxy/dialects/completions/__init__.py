"""OpenAI's text completions, as clients send them."""
