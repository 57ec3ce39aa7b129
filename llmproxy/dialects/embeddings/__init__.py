"""OpenAI's embeddings, as clients send them."""
