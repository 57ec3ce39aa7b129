"""What the operator sees.

log.py and log_writer.py (lines that nobody waits for), request_log.py, metrics.py, periodic.py (jobs that go
on). Reads records of requests, never running ones. May import adapter_kit, dialects, wire, config and core.
Begin with request_log.py.
"""
