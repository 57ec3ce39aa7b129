"""Answers that are kept."""
