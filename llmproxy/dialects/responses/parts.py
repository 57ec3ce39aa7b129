"""Translates content parts of messages and outputs to parts of chat messages."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from llmproxy.core.chat import Json
from llmproxy.core.errors import BadRequest

_TEXTS = frozenset(("input_text", "output_text", "text", "summary_text", "reasoning_text"))


def parts(content: object, where: str) -> list[Json]:
    """The parts of a string or a list. Raises BadRequest for parts that a chat does not have."""
    if content is None:
        return []
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    if not isinstance(content, list):
        raise BadRequest(f"`{where}` must be a string or a list of parts.", param=where, code="invalid_type")
    return [_part(one, f"{where}[{number}]") for number, one in enumerate(content)]


def text_of(made: list[Json], between: str = "\n\n") -> str:
    """The texts of the parts, joined."""
    return between.join(one["text"] for one in made if one["type"] == "text")


def shortest(made: list[Json]) -> str | list[Json]:
    """A single text as a string, which every provider accepts."""
    if not made:
        return ""
    return made[0]["text"] if len(made) == 1 and made[0]["type"] == "text" else made


def _part(part: object, where: str) -> Json:
    if not isinstance(part, dict):
        raise BadRequest(f"`{where}` must be an object.", param=where, code="invalid_type")
    kind = part.get("type")
    if kind in _TEXTS:
        return {"type": "text", "text": _string(part, "text", where)}
    if kind == "refusal":
        return {"type": "text", "text": _string(part, "refusal", where)}
    make = _MEDIA.get(str(kind))
    if make is None:
        raise BadRequest(
            f"`{where}`: there is no content of type {kind!r}.", param=f"{where}.type", code="invalid_value"
        )
    return make(part, where)


def _image(part: Json, where: str) -> Json:
    url = part.get("image_url")
    if isinstance(url, dict):  # chat's form: some clients mix them up
        url = url.get("url")
    if not isinstance(url, str) or not url:
        raise _by_id(part, where, "image_url")
    detail = {"detail": part["detail"]} if part.get("detail") in ("low", "high", "auto") else {}
    return {"type": "image_url", "image_url": {"url": url, **detail}}


def _file(part: Json, where: str) -> Json:
    data = part.get("file_data") or part.get("file_url")
    if not isinstance(data, str) or not data:
        raise _by_id(part, where, "file_data")
    name = {"filename": part["filename"]} if isinstance(part.get("filename"), str) else {}
    return {"type": "file", "file": {**name, "file_data": data}}


def _audio(part: Json, where: str) -> Json:
    audio = part.get("input_audio")
    if not isinstance(audio, dict):
        raise BadRequest(f"`{where}.input_audio` is missing.", param=f"{where}.input_audio", code="invalid_type")
    return {"type": "input_audio", "input_audio": audio}


_MEDIA: Mapping[str, Callable[[Json, str], Json]] = {
    "input_image": _image,
    "computer_screenshot": _image,
    "input_file": _file,
    "input_audio": _audio,
}


def _by_id(part: Json, where: str, wanted: str) -> BadRequest:
    if part.get("file_id") is None:
        return BadRequest(
            f"`{where}.{wanted}` is missing.", param=f"{where}.{wanted}", code="missing_required_parameter"
        )
    text = f"`{where}.file_id`: this model's provider does not know files by id. Send `{wanted}`."
    return BadRequest(text, param=f"{where}.file_id", code="unsupported_parameter")


def _string(part: Json, member: str, where: str) -> str:
    text = part.get(member)
    if not isinstance(text, str):
        raise BadRequest(f"`{where}.{member}` must be a string.", param=f"{where}.{member}", code="invalid_type")
    return text
