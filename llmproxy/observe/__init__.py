"""Logs, metrics and traces for the operator.

log.py and log_writer.py (non-blocking log lines), request_log.py, metrics.py, periodic.py (periodic jobs). Reads records of
finished requests, never running ones. May import adapter_kit, dialects, wire, config and core. Begin with request_log.py.
"""
