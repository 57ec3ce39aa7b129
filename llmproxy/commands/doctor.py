"""`llmproxy doctor`: finds problems on this machine, each with a fix. Sends no key and no prompt to a provider."""

from __future__ import annotations

import argparse
import http.client
import shutil
import socket
import ssl
import stat
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from functools import partial
from pathlib import Path
from typing import NamedTuple

from llmproxy.config import Config, ConfigError, Provider, load

from .check import storage_problem
from .serve import has_keys

_PATIENCE = 5.0  # seconds for each step of a connection to a provider
_LITTLE = 200 * 2**20  # free bytes on the disk of the data folder
_SKEW = 120.0  # allowed error of the clock in seconds


class Finding(NamedTuple):
    problem: str
    fix: str


def main(given: argparse.Namespace) -> int:
    try:
        config = load(given.config, has_keys=has_keys)
    except ConfigError as error:
        findings = [Finding(str(error), "correct the configuration, then run llmproxy doctor again")]
    else:
        findings = examined(config)
    for finding in findings:
        print(f"- {finding.problem}\n  fix: {finding.fix}")
    count = len(findings)
    print(
        f"{count} finding{'s' * (count != 1)}"
        if count
        else "No problem found: port, data folder, clock and providers are ok."
    )
    return 1 if findings else 0


def examined(config: Config) -> list[Finding]:
    """Checks providers in parallel; a problem that several show (a wrong clock) is reported once."""
    remote = [one for one in config.providers if one.base_url]
    with ThreadPoolExecutor(max(1, len(remote))) as pool:
        met = list(pool.map(partial(_provider, config), remote))
    found = [*_port(config), *_storage(config), *(one for each in met for one in each)]
    return list(dict.fromkeys(found))


def _port(config: Config) -> Iterator[Finding]:
    from llmproxy.server.process.socket_options import PortTaken, refuse_taken

    server = config.server
    try:
        refuse_taken(server.host, server.port)
    except PortTaken as error:
        if not _is_gateway(server.host, server.port):
            yield Finding(str(error), "stop the program that listens there, or set another port with LLMPROXY_PORT")


def _is_gateway(host: str, port: int) -> bool:
    asking = http.client.HTTPConnection(host, port, timeout=_PATIENCE)
    try:
        asking.request("GET", "/livez")
        return asking.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asking.close()


def _storage(config: Config) -> Iterator[Finding]:
    if not config.storage.enabled:
        return
    folder = Path(config.storage.dir)
    if problem := storage_problem(config):
        yield Finding(
            f"storage: {problem}",
            "repair it, restore a backup, or set another folder (docs/configuration.md, [storage])",
        )
    elif config.storage.url:
        return
    elif folder.is_dir():
        if folder.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            yield Finding(f"{folder} can be written by other users", f"chmod go-w {folder}")
        if shutil.disk_usage(folder).free < _LITTLE:
            yield Finding(f"less than 200 MB are free where {folder} is", "free some space, or set LLMPROXY_DATA_DIR")


def _provider(config: Config, provider: Provider) -> list[Finding]:
    """The first step that fails: name lookup, connection, TLS. Then the clock, by the Date header of the answer."""
    from llmproxy.upstream.http.proxy_route import Proxies

    name = f"provider {provider.name}"
    proxies = Proxies.parse(config.proxies if provider.proxy is None else provider.proxy)
    route = proxies.target(provider.base_url).route
    place = route.tunnel or route
    where = f"{place.host}:{place.port}" + (" (a proxy)" if place.host not in provider.base_url else "")
    try:
        with socket.create_connection((place.host, place.port), _PATIENCE) as connection:
            if route.tunnel is not None:
                return []  # behind a proxy, the proxy makes the connection
            return _secured(connection, provider, route.host, route.tls)
    except socket.gaierror as error:
        return [
            Finding(
                f"{name}: the name {place.host} is not known here: {error.strerror}",
                "check its spelling, the network, and the name servers in /etc/resolv.conf",
            )
        ]
    except ssl.SSLCertVerificationError as error:
        return [
            Finding(
                f"{name}: the certificate of {place.host} is not trusted: {error.verify_message}",
                "if it is expired or not yet valid, check the clock; otherwise set ca_file to your company's certificate",
            )
        ]
    except OSError as error:
        reason = error.strerror or str(error) or type(error).__name__
        return [
            Finding(
                f"{name}: {where} cannot be reached: {reason}",
                "if it is your own server, start it; otherwise check the address, the firewall, and HTTPS_PROXY or NO_PROXY",
            )
        ]


def _secured(connection: socket.socket, provider: Provider, host: str, tls: bool) -> list[Finding]:
    if not tls:
        return _clock(connection, host)
    from llmproxy.upstream.http.dial import tls_context

    with tls_context(provider.verify_tls, provider.ca_file).wrap_socket(connection, server_hostname=host) as secure:
        return _clock(secure, host)


def _clock(connection: socket.socket, host: str) -> list[Finding]:
    """Checks the clock by the Date header of any answer from the root. A server that sends none is ignored."""
    try:
        connection.sendall(f"HEAD / HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode("ascii"))
        answer = http.client.HTTPResponse(connection, method="HEAD")
        answer.begin()
        date = parsedate_to_datetime(answer.getheader("Date", ""))
    except (OSError, http.client.HTTPException, ValueError):
        return []
    if abs(date.timestamp() - time.time()) <= _SKEW:
        return []
    return [
        Finding("the clock of this machine is wrong by more than two minutes", "set it, as by timedatectl set-ntp true")
    ]
