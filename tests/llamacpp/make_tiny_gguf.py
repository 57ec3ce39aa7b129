"""Writes a tiny llama-architecture GGUF with random weights, for tests. Standard library only.

    python make_tiny_gguf.py tiny.gguf              # a chat model with tools, 0.55 MB
    python make_tiny_gguf.py think.gguf --thinking  # also reasons in <think> blocks

The model knows nothing: it exists so that a real llama.cpp server loads it in milliseconds and streams printable
gibberish at thousands of tokens a second. The weights are random, except that no layer writes to the embedding's
dimensions 0 and 1. Dimension 0 is constant, so the output head can use it as a bias for each token: it bans control
tokens and lone bytes (the text is always valid UTF-8) and says how often the model ends its turn (`--eos-bias`) or calls
a tool (`--tool-bias`, or a request's logit_bias of 50 on <tool_call>). Dimension 1 marks </tool_call>, after which the
model ends its turn.

The tokenizer is a byte-level BPE (GPT-2's scheme) trained here on CORPUS: any UTF-8 text survives the round trip.
The chat template is ChatML with tools as Hermes writes them. With --thinking a turn opens with <think>, unless the request
says chat_template_kwargs {"enable_thinking": false}; the server's --reasoning-budget closes it.
"""

from __future__ import annotations

import argparse
import random
import re
import struct
from array import array
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

Tensor = tuple[int, int | None, "array[float]"]  # rows, columns, numbers

CORPUS = """
The quick brown fox jumps over the lazy dog. A gateway sits between the client and the model, and it
passes every request on, counts the tokens, and writes the answer back as it comes. When the server is
slow the client waits; when the client goes away the server must stop. Errors have a code, a type and a
message, and they should be read before they are retried. In the morning the light is blue over the
water and the boats go out one by one. She said that it was not the end of the story, only a pause in
it. There are ten numbers: one, two, three, four, five, six, seven, eight, nine and ten. What is the
name of the city? Where does this road go, and who made it? Please write a short list of the things
that you see, then tell me which of them you like best. {"name": "value", "list": [1, 2, 3], "ok": true}
"""
MERGES = 220
SPECIALS = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<think>",
    "</think>",
    "<tool_call>",
    "</tool_call>",
    "<tool_response>",
    "</tool_response>",
)
CONTROL = frozenset(SPECIALS[:3])  # the rest is text that the server must be able to show
BANNED = -40.0
_WORDS = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?[^\s\w]+|\s+")

CHAT_TEMPLATE = r"""
{%- if tools %}
{{- '<|im_start|>system\n' }}
{%- if messages[0].role == 'system' %}{{- messages[0].content + '\n\n' }}{%- endif %}
{{- "# Tools\n\nYou may call one or more functions. Signatures are within <tools></tools> XML tags:\n<tools>" }}
{%- for tool in tools %}{{- "\n" + (tool | tojson) }}{%- endfor %}
{{- '\n</tools>\n\nFor each call return a json object within <tool_call></tool_call> XML tags:\n' }}
{{- '<tool_call>{"name": <function-name>, "arguments": <args-json-object>}</tool_call><|im_end|>\n' }}
{%- elif messages[0].role == 'system' %}
{{- '<|im_start|>system\n' + messages[0].content + '<|im_end|>\n' }}
{%- endif %}
{%- for message in messages %}
{%- if message.role == 'user' or (message.role == 'system' and not loop.first) %}
{{- '<|im_start|>' + message.role + '\n' + message.content + '<|im_end|>\n' }}
{%- elif message.role == 'assistant' %}
{{- '<|im_start|>assistant\n' }}@REPLAY_THINKING@
{%- if message.content %}{{- message.content }}{%- endif %}
{%- if message.tool_calls %}
{%- for call in message.tool_calls %}
{%- if call.function %}{%- set call = call.function %}{%- endif %}
{%- if (loop.first and message.content) or not loop.first %}{{- '\n' }}{%- endif %}
{{- '<tool_call>{"name": "' + call.name + '", "arguments": ' }}
{{- call.arguments if call.arguments is string else (call.arguments | tojson) }}{{- '}</tool_call>' }}
{%- endfor %}
{%- endif %}
{{- '<|im_end|>\n' }}
{%- elif message.role == 'tool' %}
{{- '<|im_start|>user\n<tool_response>\n' + message.content + '\n</tool_response><|im_end|>\n' }}
{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\n' }}@OPEN_THINKING@
{%- endif %}
""".strip()
OPEN_THINKING = r"""
{%- if enable_thinking is not defined or enable_thinking %}{{- '<think>\n' }}
{%- else %}{{- '<think>\n\n</think>\n\n' }}{%- endif %}"""
REPLAY_THINKING = r"""
{%- if message.reasoning_content %}{{- '<think>\n' + message.reasoning_content + '\n</think>\n\n' }}{%- endif %}"""


def chat_template(*, thinking: bool) -> str:
    opened = CHAT_TEMPLATE.replace("@OPEN_THINKING@", OPEN_THINKING if thinking else "")
    return opened.replace("@REPLAY_THINKING@", REPLAY_THINKING if thinking else "")


# The tokenizer


def byte_alphabet() -> dict[int, str]:
    """GPT-2's table of bytes as printable characters."""
    keep = [*range(33, 127), *range(161, 173), *range(174, 256)]
    rest = [byte for byte in range(256) if byte not in keep]
    return {byte: chr(byte) for byte in keep} | {byte: chr(256 + i) for i, byte in enumerate(rest)}


def train_bpe(text: str, count: int) -> tuple[list[str], list[str]]:
    """(vocabulary, merges) of a byte-level BPE over the text."""
    alphabet = byte_alphabet()
    words = {tuple(alphabet[byte] for byte in word.encode()): n for word, n in Counter(_WORDS.findall(text)).items()}
    vocabulary, merges = list(alphabet.values()), []
    for _ in range(count):
        pairs: Counter[tuple[str, str]] = Counter()
        for word, n in words.items():
            for pair in pairwise(word):
                pairs[pair] += n
        if not pairs:
            break
        first, second = max(pairs, key=lambda pair: (pairs[pair], pair))
        vocabulary.append(first + second)
        merges.append(f"{first} {second}")
        words = _merged(words, (first, second))
    return vocabulary, merges


def _merged(words: Mapping[tuple[str, ...], int], pair: tuple[str, str]) -> dict[tuple[str, ...], int]:
    merged: dict[tuple[str, ...], int] = {}
    for word, n in words.items():
        joined, at = [], 0
        while at < len(word):
            step = 2 if word[at : at + 2] == pair else 1
            joined.append("".join(word[at : at + step]))
            at += step
        merged[tuple(joined)] = merged.get(tuple(joined), 0) + n
    return merged


def is_printable(token: str) -> bool:
    """Whether a token stands for text that may be shown by itself."""
    byte = {char: byte for byte, char in byte_alphabet().items()}
    try:
        text = bytes(byte[char] for char in token).decode()
    except UnicodeDecodeError:
        return False
    return all(char.isprintable() or char == "\n" for char in text)


# The file


def pack(value: Any) -> tuple[int, bytes]:
    """A metadata value as GGUF has it: the number of its type, and its bytes."""
    if isinstance(value, bool):
        return 7, struct.pack("<?", value)
    if isinstance(value, int):
        return 4, struct.pack("<I", value)
    if isinstance(value, float):
        return 6, struct.pack("<f", value)
    if isinstance(value, str):
        data = value.encode()
        return 8, struct.pack("<Q", len(data)) + data
    items = [(5, struct.pack("<i", item)) if isinstance(item, int) else pack(item) for item in value]
    return 9, struct.pack("<IQ", items[0][0], len(items)) + b"".join(data for _, data in items)


def write_gguf(path: Path, metadata: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
    """GGUF version 3, everything aligned to 32 bytes, dimensions with the fastest first."""
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(metadata))
    for key, value in metadata.items():
        kind, data = pack(value)
        head += pack(key)[1] + struct.pack("<I", kind) + data
    offset = 0
    for name, (rows, columns, numbers) in tensors.items():
        shape = [rows] if columns is None else [columns, rows]
        head += pack(name)[1] + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        offset += _aligned(len(numbers) * 4)
    with path.open("wb") as file:
        file.write(head.ljust(_aligned(len(head)), b"\0"))
        for _, _, numbers in tensors.values():
            file.write(numbers.tobytes().ljust(_aligned(len(numbers) * 4), b"\0"))


def _aligned(size: int) -> int:
    return -(-size // 32) * 32


# The weights


class Weights:
    """Random tensors of a llama model of `dim` dimensions; the same ones for the same seed."""

    def __init__(self, dim: int, seed: int) -> None:
        self.dim = dim
        self._draw = random.Random(seed)
        self._noise = array("f", (self._draw.gauss(0, 1) for _ in range(1 << 18)))
        self.ones: Tensor = (dim, None, array("f", [1.0]) * dim)

    def random(self, rows: int, columns: int, scale: float) -> array[float]:
        size, start = rows * columns, self._draw.randrange(len(self._noise))
        scaled = array("f", (number * scale for number in self._noise))
        return (scaled[start:] + scaled * (size // len(scaled) + 1))[:size]

    def reads(self, rows: int, columns: int) -> Tensor:
        return rows, columns, self.random(rows, columns, columns**-0.5)

    def writes(self, rows: int, columns: int) -> Tensor:
        """A projection back into the residual stream, which leaves dimensions 0 and 1 alone."""
        numbers = self.random(rows, columns, columns**-0.5)
        numbers[: 2 * columns] = array("f", bytes(4 * 2 * columns))
        return rows, columns, numbers

    def layer(self, number: int) -> dict[str, Tensor]:
        dim, wide, narrow = self.dim, 2 * self.dim, self.dim // 2  # four heads, two of them for keys and values
        tensors = {
            "attn_norm": self.ones,
            "attn_q": self.reads(dim, dim),
            "attn_k": self.reads(narrow, dim),
            "attn_v": self.reads(narrow, dim),
            "attn_output": self.writes(dim, dim),
            "ffn_norm": self.ones,
            "ffn_gate": self.reads(wide, dim),
            "ffn_up": self.reads(wide, dim),
            "ffn_down": self.writes(dim, wide),
        }
        return {f"blk.{number}.{name}.weight": tensor for name, tensor in tensors.items()}


class Vocabulary:
    """The tokens, their kinds, and how much the model likes to say each."""

    def __init__(self, eos_bias: float, tool_bias: float) -> None:
        words, self.merges = train_bpe(CORPUS, MERGES)
        self.tokens = [*words, *SPECIALS]
        self.plain = len(words)
        self.kinds = [1] * len(words) + [
            3 if token in CONTROL else 4 for token in SPECIALS
        ]  # normal, control, user-defined
        self.id = {token: number for number, token in enumerate(self.tokens)}
        self.bias = [0.0 if is_printable(word) else BANNED for word in words] + [BANNED] * len(SPECIALS)
        self.bias[self.id["<|im_end|>"]] = eos_bias
        self.bias[self.id["<tool_call>"]] = tool_bias
        self.bias[self.id["</tool_call>"]] = 0.0  # outside of a grammar never among the 40 likeliest
        self.bias[self.id["<"]] = BANNED  # so that a grammar gets </tool_call> as one token

    def tensors(self, weights: Weights) -> tuple[Tensor, Tensor]:
        """(embedding, output head), with the biases in dimension 0 and the end of a tool call in dimension 1."""
        dim, size = weights.dim, len(self.tokens)
        embedding = weights.random(size, dim, 1.0)
        head = weights.random(size, dim, dim**-0.5)
        for number in range(size):
            row = number * dim
            if number >= self.plain:  # special tokens: the bias alone decides
                head[row : row + dim] = array("f", bytes(4 * dim))
            embedding[row : row + 2] = array("f", [8.0, 0.0])
            head[row : row + 2] = array("f", [self.bias[number] / 4, 0.0])  # after the final norm an 8 is about 4
        embedding[self.id["</tool_call>"] * dim + 1] = 8.0
        head[self.id["<|im_end|>"] * dim + 1] = 10.0
        return (size, dim, embedding), (size, dim, head)


def make(
    path: Path,
    *,
    name: str = "tiny-random",
    context: int = 4096,
    seed: int = 3,
    layers: int = 2,
    dim: int = 64,
    thinking: bool = False,
    eos_bias: float = 1.2,
    tool_bias: float = BANNED,
) -> None:
    """Writes the model. With dim=2048 and layers=8 it has 1.2 GB and takes seconds to load."""
    vocabulary = Vocabulary(eos_bias, tool_bias)
    weights = Weights(dim, seed)
    embedding, head = vocabulary.tensors(weights)
    tensors = {"token_embd.weight": embedding}
    for number in range(layers):
        tensors |= weights.layer(number)
    tensors |= {"output_norm.weight": weights.ones, "output.weight": head}
    metadata = {
        "general.architecture": "llama",
        "general.name": name,
        "general.file_type": 0,  # all f32
        "llama.context_length": context,
        "llama.embedding_length": dim,
        "llama.block_count": layers,
        "llama.feed_forward_length": 2 * dim,
        "llama.attention.head_count": 4,
        "llama.attention.head_count_kv": 2,
        "llama.attention.layer_norm_rms_epsilon": 1e-5,
        "llama.rope.dimension_count": dim // 4,
        "llama.vocab_size": len(vocabulary.tokens),
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "gpt-2",
        "tokenizer.ggml.tokens": vocabulary.tokens,
        "tokenizer.ggml.token_type": vocabulary.kinds,
        "tokenizer.ggml.merges": vocabulary.merges,
        "tokenizer.ggml.bos_token_id": vocabulary.id["<|endoftext|>"],
        "tokenizer.ggml.eos_token_id": vocabulary.id["<|im_end|>"],
        "tokenizer.ggml.padding_token_id": vocabulary.id["<|endoftext|>"],
        "tokenizer.ggml.add_bos_token": False,
        "tokenizer.chat_template": chat_template(thinking=thinking),
    }
    write_gguf(path, metadata, tensors)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("path", type=Path)
    parser.add_argument("--name", default="tiny-random")
    parser.add_argument("--context", type=int, default=4096)
    parser.add_argument("--seed", type=int, default=3)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--dim", type=int, default=64)
    parser.add_argument("--thinking", action="store_true", help="a reasoning model: its chat template opens <think>")
    parser.add_argument("--eos-bias", type=float, default=1.2, help="larger: shorter answers; -40: never ends its turn")
    parser.add_argument("--tool-bias", type=float, default=BANNED, help="larger: more eager to call a tool")
    make(**vars(parser.parse_args()))


if __name__ == "__main__":
    main()
