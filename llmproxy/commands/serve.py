"""`llmproxy serve`: reads the configuration, looks for local model servers, and runs the gateway."""

from __future__ import annotations

import argparse
import gc
import sys
from pathlib import Path

from llmproxy.config import Config, load
from llmproxy.config.values import Storage

from .banner import banner
from .discover import Search

WRONG_START = 2  # the exit code of a start that cannot be, as of a configuration that cannot be used


def main(given: argparse.Namespace) -> int:
    overrides = {name: value for name in ("host", "port", "workers") if (value := getattr(given, name)) is not None}

    def read() -> Config:
        """The file that was read at the start: where it is gone, the configuration is not an empty one."""
        source = Path(config.source) if config.source else given.config
        return search.added_to(load(source, overrides=overrides, has_keys=has_keys))

    gc.disable()  # what the start makes stays: looking for garbage in it takes a tenth of the start's time
    config = load(given.config, overrides=overrides, has_keys=has_keys)
    search = Search(config)
    # This import takes longer than the search, which runs beside it: nothing waits for either.
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
    """Whether keys were made at run time."""
    from llmproxy.store.accounts import known_at

    if not storage.enabled:
        return False
    known = known_at(storage.where)
    return bool(known.accounts) or not known.read
