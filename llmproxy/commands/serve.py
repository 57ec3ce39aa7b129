"""`llmproxy serve`: reads the configuration, searches for local model servers, and runs the gateway."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

from llmproxy.config import Config, load
from llmproxy.config.values import Storage

from .banner import banner
from .discover import Search

WRONG_START = 2  # exit code if the start fails, also for an invalid configuration


def main(given: argparse.Namespace) -> int:
    overrides = {name: value for name in ("host", "port", "workers") if (value := getattr(given, name)) is not None}

    def read() -> Config:
        """Reads the file of the start again: if it was deleted, this is an error and not an empty configuration."""
        source = Path(config.source) if config.source else given.config
        return search.added_to(load(source, overrides=overrides, has_keys=has_keys))

    gc.disable()  # objects of the start are kept: collecting garbage would take a tenth of the start's time
    config = load(given.config, overrides=overrides, has_keys=has_keys)
    search = Search(config)
    # This import takes longer than the search, which runs in parallel, so neither waits for the other.
    from llmproxy.server import run
    from llmproxy.server.process.socket_options import PortTaken
    from llmproxy.server.process.workers import NoFolder

    try:
        return run(search.added_to(config), load=read, announce=banner)
    except PortTaken as error:
        print(f"llmproxy: {error}; another port: llmproxy serve --port N", file=sys.stderr)
        return WRONG_START
    except NoFolder as error:
        print(f"llmproxy: {error}", file=sys.stderr)
        return WRONG_START


def has_keys(storage: Storage) -> bool:
    """Whether there are keys that were created at run time."""
    from llmproxy.store.accounts import known_at

    if not storage.enabled:
        return False
    known = known_at(storage.where)
    return bool(known.accounts) or not known.read
