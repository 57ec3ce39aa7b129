"""The gateway's own dialect, used by the page."""
