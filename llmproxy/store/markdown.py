"""A message as Markdown, with everything in it that a reader can see or hear: what is no text is a data URL."""

from __future__ import annotations

import base64
import binascii
import io
import wave

from llmproxy.core.chat import Json

HEADINGS = {"user": "You", "assistant": "Assistant"}
_SOUND_RATE = 24_000  # samples a second, 16 bits, one channel: what providers send where they name no format
_SOUNDS = (
    (b"RIFF", "wav"),
    (b"ID3", "mpeg"),
    (b"OggS", "ogg"),
    (b"fLaC", "flac"),
    (b"\xff\xfb", "mpeg"),
    (b"\xff\xf3", "mpeg"),
)


def section(message: Json) -> str:
    """A message under a heading of its own."""
    heading = message["model"] or HEADINGS[message["role"]]
    note = "" if message["state"] == "complete" else f"\n\n*({message['state']})*"
    sources = "".join(f"\n[{one.get('index')}]: {one.get('url')}" for one in message["citations"])
    return f"## {heading}\n\n{_content(message) or '(no text)'}{note}" + (f"\n{sources}" if sources else "")


def _content(message: Json) -> str:
    parts = message.get("parts") or message["content"]
    if isinstance(parts, str):
        return parts
    return "\n\n".join(filter(None, map(_part, parts)))


def _part(part: Json) -> str:
    """Empty for reasoning, tool calls, and what is not known."""
    match part:
        case {"type": "text", "text": str(text)}:
            return text
        case {"type": "image", "url": str(url)} | {"type": "image_url", "image_url": {"url": str(url)}}:
            return f"![image]({url})"
        case {"type": "audio", "data": str(data)}:
            return "\n\n".join(filter(None, [_sound(data), str(part.get("transcript") or "")]))
        case {"type": "input_audio", "input_audio": {"data": str(data), "format": str(format)}}:
            return f"[audio](data:audio/{format};base64,{data})"
        case {"type": "file", "file": {"file_data": str(data)}}:
            return f"[{part['file'].get('filename') or 'file'}]({data})"
        case {"type": "image" | "audio" as kind, "omitted": int(size)}:
            return f"({kind} of {size} bytes, too large to be kept)"
        case _:
            return ""


def _sound(data: str) -> str:
    """A link to a generated sound as a file that players take."""
    try:
        sound = base64.b64decode(data)
    except binascii.Error:
        return ""
    if not sound:
        return ""
    known = next((kind for begin, kind in _SOUNDS if sound.startswith(begin)), "")
    file = sound if known else _wav(sound)
    return f"[audio](data:audio/{known or 'wav'};base64,{base64.b64encode(file).decode()})"


def _wav(samples: bytes) -> bytes:
    made = io.BytesIO()
    with wave.open(made, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_SOUND_RATE)
        file.writeframes(samples)
    return made.getvalue()
