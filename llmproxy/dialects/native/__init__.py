"""The gateway's own dialect, which the page speaks."""
