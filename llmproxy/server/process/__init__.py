"""The process: listener, workers, reload, shutdown."""
