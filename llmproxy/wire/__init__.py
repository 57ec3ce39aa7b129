"""Bytes and events of the wire, without I/O."""
