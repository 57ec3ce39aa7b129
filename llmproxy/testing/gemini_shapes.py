"""Shapes of Gemini's answers as tables. Source: Google's SDK types and recordings."""

from __future__ import annotations

from collections.abc import Mapping

from .schemas import NULL, NUMBER, Shape, one_of

FINISHES = (
    "STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "LANGUAGE", "OTHER", "BLOCKLIST", "PROHIBITED_CONTENT", "SPII",
    "MALFORMED_FUNCTION_CALL", "IMAGE_SAFETY", "IMAGE_PROHIBITED_CONTENT", "IMAGE_RECITATION", "IMAGE_OTHER", "NO_IMAGE",
    "UNEXPECTED_TOOL_CALL", "TOO_MANY_TOOL_CALLS", "MISSING_THOUGHT_SIGNATURE", "MALFORMED_RESPONSE", "MODEL_ARMOR",
)  # fmt: skip
_BLOB: Shape = {"mimeType": str, "data": str}
# Kinds of parts; a part has exactly one of these members.
PARTS: Mapping[str, Shape] = {
    "text": {"text": str},
    "inlineData": {"inlineData": _BLOB},
    "fileData": {"fileData": {"fileUri": str, "mimeType?": str}},
    "functionCall": {"functionCall": {"name": str, "args?": {}, "id?": str}},
    "functionResponse": {"functionResponse": {"name": str, "response": {}, "id?": str}},
    "executableCode": {"executableCode": {"code": str, "language?": str}},
    "codeExecutionResult": {"codeExecutionResult": {"outcome": str, "output?": str}},
    "toolCall": {"toolCall": {}},
    "toolResponse": {"toolResponse": {}},
}
BESIDE: Shape = {"thought?": bool, "thoughtSignature?": str}
_MODALITIES: Shape = {"modality": str, "tokenCount?": int}
USAGE: Shape = {
    "promptTokenCount?": int,
    "candidatesTokenCount?": int,
    "totalTokenCount?": int,
    "thoughtsTokenCount?": int,
    "cachedContentTokenCount?": int,
    "toolUsePromptTokenCount?": int,
    "promptTokensDetails?": [_MODALITIES],
    "candidatesTokensDetails?": [_MODALITIES],
    "cacheTokensDetails?": [_MODALITIES],
}
_CHUNK: Shape = {"web?": {"uri?": str, "title?": str}}
_SUPPORT: Shape = {"segment": {"startIndex?": int, "endIndex?": int, "text?": str}, "groundingChunkIndices?": [int]}
CANDIDATE: Shape = {
    "content?": {"parts?": [{}], "role?": one_of("model", "user")},
    "index?": int,
    "finishReason?": (one_of(*FINISHES), NULL),  # SDKs read null as missing
    "finishMessage?": str,
    "groundingMetadata?": {"groundingChunks?": [_CHUNK], "groundingSupports?": [_SUPPORT]},
    "safetyRatings?": [{"category": str, "probability": str}],
    "avgLogprobs?": NUMBER,
}
ANSWER: Shape = {
    "candidates?": [CANDIDATE],
    "promptFeedback?": {"blockReason?": str},
    "usageMetadata?": USAGE,
    "modelVersion?": str,
    "responseId?": str,
}
# Names of google.rpc.Code by HTTP status.
ERROR_WORDS: Mapping[int, tuple[str, ...]] = {
    400: ("INVALID_ARGUMENT", "FAILED_PRECONDITION", "OUT_OF_RANGE"),
    401: ("UNAUTHENTICATED",),
    403: ("PERMISSION_DENIED",),
    404: ("NOT_FOUND",),
    409: ("ABORTED", "ALREADY_EXISTS"),
    429: ("RESOURCE_EXHAUSTED",),
    499: ("CANCELLED",),
    500: ("INTERNAL", "UNKNOWN", "DATA_LOSS"),
    501: ("UNIMPLEMENTED",),
    503: ("UNAVAILABLE",),
    504: ("DEADLINE_EXCEEDED",),
}
ERROR: Shape = {
    "error": {
        "code": int,
        "message": str,
        "status": one_of(*(word for words in ERROR_WORDS.values() for word in words)),
        "details?": [{"@type": str}],
    }
}
TOKENS: Shape = {"totalTokens": int, "cachedContentTokenCount?": int, "promptTokensDetails?": [_MODALITIES]}
MODEL: Shape = {
    "name": str,
    "version?": str,
    "displayName?": str,
    "inputTokenLimit?": int,
    "outputTokenLimit?": int,
    "supportedGenerationMethods": [str],
}
MODELS: Shape = {"models": [MODEL], "nextPageToken?": str}
