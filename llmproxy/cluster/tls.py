"""TLS between replicas: both sides show a certificate of the same CA. Host names are not checked, because peers are reached by
address."""

from __future__ import annotations

import ssl

from llmproxy.config import Cluster, ConfigError


def client_context(cluster: Cluster) -> ssl.SSLContext:
    """For connections to peers. Raises ConfigError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    return _with_files(context, cluster)


def server_context(cluster: Cluster) -> ssl.SSLContext:
    """For connections from peers. Raises ConfigError."""
    return _with_files(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), cluster)


def _with_files(context: ssl.SSLContext, cluster: Cluster) -> ssl.SSLContext:
    context.verify_mode = ssl.CERT_REQUIRED
    try:
        context.load_verify_locations(cluster.ca_file)
        context.load_cert_chain(cluster.cert_file, cluster.key_file)
    except (OSError, ssl.SSLError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise ConfigError(f"[cluster] ca_file, cert_file, key_file: cannot be used: {reason}") from None
    return context
