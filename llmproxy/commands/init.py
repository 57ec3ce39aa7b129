"""`llmproxy init`: writes a commented llmproxy.toml from the environment. It contains no key and replaces no file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from llmproxy.config import Provider, environ
from llmproxy.config.cleaned import Cleaned

_HEAD = """\
# Written by `llmproxy init`. Lines that begin with `#` are examples of settings; docs/configuration.md lists all settings.
# `llmproxy check` validates this file. `llmproxy serve` reads it from the working directory, and applies changes at once.
# Environment variables (LLMPROXY_PORT, ...) override this file.

# default_model = "fast"           # used when a request names no model

# [server]
# host = "127.0.0.1"               # any other address needs a key: set LLMPROXY_KEY
# port = 8811

# [[server.keys]]                  # one for each client
# name = "alice"
# secret = "${ALICE_KEY}"          # read from the environment
"""
_NOTHING = """
# The environment has no provider's key, so only the demo is available. To configure a provider, add its table:
# [providers.openai]               # its key is read from OPENAI_API_KEY
"""
_TAIL = """
# [providers.local]                # any OpenAI-compatible server
# adapter = "compatible"
# base_url = "http://127.0.0.1:8000/v1"

# [aliases]
# fast = "{example}"
"""


def main(given: argparse.Namespace) -> int:
    variables = Cleaned(os.environ)
    found = [one for one in environ.providers(variables, ()) if one.source]
    try:
        with open(given.file, "x", encoding="utf-8") as file:
            file.write(text(found))
    except FileExistsError:
        print(f"llmproxy: {given.file} exists already and was not changed. Choose another file name.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"llmproxy: {given.file} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print("\n".join(_report(str(given.file), found, variables)))
    return 0


def text(found: Sequence[Provider]) -> str:
    """The text of the file. It contains no keys: an adapter reads its key from the variable that is named beside it."""
    tables = "".join(f"\n[providers.{one.name}]".ljust(36) + f"# key or address from {one.source}\n" for one in found)
    example = f"{found[0].name}/MODEL" if found else "demo/hello"
    return _HEAD + (tables or _NOTHING) + _TAIL.format(example=example)


def _report(file: str, found: Sequence[Provider], variables: Mapping[str, str]) -> Iterator[str]:
    names = ", ".join(f"{one.name} ({one.source})" for one in found)
    yield f"{file} was written. Providers: {names or 'none found; the demo needs no key'}"
    yield from environ.idle_keys(variables, found, ())
    yield "Next: llmproxy check, then llmproxy serve"
