"""Runs llama.cpp's own C++ HTTP server out of the xllamacpp wheel, with those of llama-server's flags that the tests use.

python xserve.py -m tiny.gguf --port 0      # prints "listening on http://127.0.0.1:PORT" once the model is loaded
"""

from __future__ import annotations

import argparse
import signal

import xllamacpp  # type: ignore[import-untyped]  # a compiled module without stubs


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("-m", "--model", required=True)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--ctx-size", type=int, default=0)
    parser.add_argument("-np", "--parallel", type=int, default=2)
    parser.add_argument("-a", "--alias", default="")
    parser.add_argument("--api-key", default="")
    parser.add_argument("--embeddings", action="store_true")
    parser.add_argument("--reasoning-budget", type=int)
    parser.add_argument("--sse-ping-interval", type=int, default=30)
    # llama.cpp's own default number of HTTP threads stalls new connections in a burst (measured)
    parser.add_argument("--threads-http", type=int, default=64)
    return parser.parse_args()


def parameters(said: argparse.Namespace) -> xllamacpp.CommonParams:
    params = xllamacpp.CommonParams()
    params.model.path = said.model
    params.hostnames, params.port = ["127.0.0.1"], said.port
    params.n_ctx, params.n_parallel = said.ctx_size, said.parallel
    params.cpuparams.n_threads = 1  # with two on a busy machine the barrier makes it several times slower
    params.model_alias = {said.alias} if said.alias else set()
    params.api_keys = [said.api_key] if said.api_key else []
    params.endpoint_slots = True
    params.n_threads_http, params.sse_ping_interval = said.threads_http, said.sse_ping_interval
    if said.reasoning_budget is not None:
        params.sampling.reasoning_budget_tokens = said.reasoning_budget
    if said.embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    return params


def main() -> None:
    server = xllamacpp.Server(parameters(options()))  # returns once the model is loaded
    print("listening on", server.listening_address, flush=True)
    signal.pause()


if __name__ == "__main__":
    main()
