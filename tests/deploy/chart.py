"""The Helm chart, rendered by Helm's own library (the package helm-python-sdk brings it; no cluster, no network)."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from typing import Any

import pytest

from tests.docs.markdown import ROOT

Json = dict[str, Any]
CHART = ROOT / "deploy" / "helm" / "llmproxy"
NAME, NAMESPACE = "gw", "ai"

NEEDED = ("helm_python", "kubernetes_validate", "yaml")
needs_helm = pytest.mark.skipif(
    any(importlib.util.find_spec(one) is None for one in NEEDED),
    reason="pip install --group deploy brings Helm's library and the schemas of Kubernetes; CI has them",
)

# In a process of its own: the library brings Go's runtime along.
_RENDER = """
import json, sys
from helm_python import Chart, lint
path, values, name, namespace = json.loads(sys.stdin.read())
try:
    chart = Chart.load(path)
    chart.validate_schema(values)
    told = {"files": chart.render(values, name=name, namespace=namespace), "lint": lint(path, values, strict=True)}
except Exception as error:
    told = {"error": str(error)}
print(json.dumps(told))
"""


class Refused(Exception):
    """Helm refuses the values."""


def helm(values: Json) -> Json:
    """`files`: what each template gives; `lint`: what Helm finds. Raises Refused."""
    asked = json.dumps([str(CHART), values, NAME, NAMESPACE])
    done = subprocess.run(
        [sys.executable, "-c", _RENDER], input=asked, capture_output=True, text=True, timeout=50, check=True
    )
    told: Json = json.loads(done.stdout.splitlines()[-1])
    if "error" in told:
        raise Refused(told["error"])
    return told


def rendered(**values: Any) -> dict[str, Json]:
    """The objects, by kind and name; `Service` alone is the first of its kind."""
    import yaml  # type: ignore[import-untyped]  # brought by kubernetes-validate

    files = helm({"existingSecret": "keys", **values})["files"]
    found = [yaml.safe_load(text) for path, text in files.items() if path.endswith(".yaml")]
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found if one}
