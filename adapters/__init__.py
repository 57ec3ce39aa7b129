"""The providers that llmproxy brings along, found by entry point like anyone's."""
