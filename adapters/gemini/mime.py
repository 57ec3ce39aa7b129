"""MIME types by file name, format or content. The table is built in, because the system's is empty in slim containers."""

from __future__ import annotations

# By file extension. If several types are in use, the one that Google documents.
BY_ENDING = {
    **dict.fromkeys(("jpg", "jpeg", "jpe", "jfif"), "image/jpeg"),
    "png": "image/png",
    "webp": "image/webp",
    "gif": "image/gif",
    "heic": "image/heic",
    "heif": "image/heif",
    "avif": "image/avif",
    "bmp": "image/bmp",
    "svg": "image/svg+xml",
    **dict.fromkeys(("tif", "tiff"), "image/tiff"),
    "wav": "audio/wav",
    **dict.fromkeys(("mp3", "mpga"), "audio/mp3"),
    "flac": "audio/flac",
    **dict.fromkeys(("ogg", "oga", "opus"), "audio/ogg"),
    "aac": "audio/aac",
    "m4a": "audio/m4a",
    "weba": "audio/webm",
    **dict.fromkeys(("aif", "aiff", "aifc"), "audio/aiff"),
    **dict.fromkeys(("mp4", "m4v"), "video/mp4"),
    **dict.fromkeys(("mpeg", "mpg"), "video/mpeg"),
    "mov": "video/quicktime",
    "avi": "video/avi",
    "flv": "video/x-flv",
    "webm": "video/webm",
    "wmv": "video/wmv",
    "3gp": "video/3gpp",
    "mkv": "video/x-matroska",
    "pdf": "application/pdf",
    "json": "application/json",
    **dict.fromkeys(("md", "markdown"), "text/markdown"),
    **dict.fromkeys(("html", "htm"), "text/html"),
    "css": "text/css",
    "csv": "text/csv",
    "xml": "text/xml",
    "rtf": "text/rtf",
    "py": "text/x-python",
    **dict.fromkeys(("js", "mjs"), "text/javascript"),
    **dict.fromkeys(
        ("txt", "text", "log", "tsv", "yaml", "yml", "toml", "ini", "cfg", "sql", "sh", "tex", "rst"), "text/plain"
    ),
    **dict.fromkeys(
        ("c", "h", "cc", "cpp", "hpp", "cs", "go", "java", "kt", "rs", "rb", "php", "swift", "ts", "tsx", "jsx"),
        "text/plain",
    ),
    "doc": "application/msword",
    "docx": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "pptx": "application/vnd.openxmlformats-officedocument.presentationml.presentation",
}
# Other names that clients use for a type.
_ALSO = {
    **dict.fromkeys(("image/jpg", "image/pjpeg"), "image/jpeg"),
    "image/x-png": "image/png",
    **dict.fromkeys(("audio/x-wav", "audio/wave", "audio/vnd.wave"), "audio/wav"),
    **dict.fromkeys(("audio/mpeg", "audio/mpeg3", "audio/x-mp3", "audio/x-mpeg"), "audio/mp3"),
    "audio/x-flac": "audio/flac",
    **dict.fromkeys(("audio/opus", "application/ogg"), "audio/ogg"),
    "audio/x-aac": "audio/aac",
    **dict.fromkeys(("audio/x-m4a", "audio/mp4"), "audio/m4a"),
    "audio/x-aiff": "audio/aiff",
    "audio/pcm16": "audio/pcm",
    "video/x-m4v": "video/mp4",
    **dict.fromkeys(("video/mkv", "video/matroska"), "video/x-matroska"),
    "video/x-msvideo": "video/avi",
    "video/x-ms-wmv": "video/wmv",
    "application/x-pdf": "application/pdf",
    **dict.fromkeys(("text/md", "text/x-markdown"), "text/markdown"),
    "application/xml": "text/xml",
    "application/rtf": "text/rtf",
}
_ANYTHING = frozenset(("", "application/octet-stream", "binary/octet-stream", "*/*"))
# The first characters of a file in base64.
_BEGINNINGS = {
    "iVBORw0KGgo": "image/png",
    "/9j/": "image/jpeg",
    "R0lGOD": "image/gif",
    "JVBERi0": "application/pdf",
    "T2dnUw": "audio/ogg",
    "ZkxhQw": "audio/flac",
    "SUQz": "audio/mp3",
}


def known(given: object) -> str | None:
    """The canonical type for a given one; None if it is missing or generic."""
    kind = given.partition(";")[0].strip().lower() if isinstance(given, str) else ""
    return None if kind in _ANYTHING or "/" not in kind else _ALSO.get(kind, kind)


def of_name(name: object) -> str | None:
    """The type by the extension of a file name or URL path."""
    return BY_ENDING.get(name.rpartition(".")[2].lower()) if isinstance(name, str) and "." in name else None


def of_format(format: str) -> str:
    """The type for OpenAI's `input_audio.format`."""
    kind = BY_ENDING.get(format)
    return kind if kind and kind.startswith("audio/") else _ALSO.get(f"audio/{format}", f"audio/{format}")


def of_data(data: object) -> str | None:
    """The type by the first bytes of a file in base64."""
    head = data[:16] if isinstance(data, str) else ""
    return next((kind for begins, kind in _BEGINNINGS.items() if head.startswith(begins)), None)
