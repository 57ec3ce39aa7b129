"""`llmproxy init`: writes a commented llmproxy.toml from the environment. It contains no key and replaces no file."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator, Mapping, Sequence

from llmproxy.config import Provider, environ
from llmproxy.config.cleaned import Cleaned

_HEAD = """\
# Written by `llmproxy init`. A line behind `#` shows a setting that may be made; docs/configuration.md has them all.
# `llmproxy check` validates this file, `llmproxy serve` takes it from its working directory, and changes count at once.
# Environment variables (LLMPROXY_PORT, ...) go before what is written here.

# default_model = "fast"           # asked where a client names no model

# [server]
# host = "127.0.0.1"               # beyond this machine a key is needed: set LLMPROXY_KEY
# port = 8811

# [[server.keys]]                  # one for each client
# name = "alice"
# secret = "${ALICE_KEY}"          # a secret that the environment has
"""
_NOTHING = """
# No provider's key is in the environment, so that there is the demo only. A table makes a provider required:
# [providers.openai]               # its key is taken from OPENAI_API_KEY
"""
_TAIL = """
# [providers.local]                # any server that speaks OpenAI's dialect
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
        print(f"llmproxy: {given.file} exists, and is left as it is. Name a new file.", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"llmproxy: {given.file} cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    print("\n".join(_told(str(given.file), found, variables)))
    return 0


def text(found: Sequence[Provider]) -> str:
    """The file. Keys stay where they are: an adapter takes its own from the variable that is named beside it."""
    tables = "".join(f"\n[providers.{one.name}]".ljust(36) + f"# found by {one.source}\n" for one in found)
    example = f"{found[0].name}/MODEL" if found else "demo/hello"
    return _HEAD + (tables or _NOTHING) + _TAIL.format(example=example)


def _told(file: str, found: Sequence[Provider], variables: Mapping[str, str]) -> Iterator[str]:
    names = ", ".join(f"{one.name} ({one.source})" for one in found)
    yield f"{file} is written. Providers: {names or 'none was found; the demo is always there'}"
    yield from environ.idle_keys(variables, found, ())
    yield "Next: llmproxy check, then llmproxy serve"
