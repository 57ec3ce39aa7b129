"""Converts OpenAI's `tools` and `tool_choice` to Gemini's `tools` and `toolConfig`."""

from __future__ import annotations

from typing import Any

from llmproxy.adapter_kit import BadRequest, Json

from .models import Abilities
from .names import Names
from .parts import as_list
from .schema import inlined

# Tools that Google runs, by the names that clients use. Gemini's own names work as well.
BUILT_IN = {
    "web_search": "googleSearch",
    "web_search_preview": "googleSearch",
    "google_search": "googleSearch",
    "code_interpreter": "codeExecution",
    "code_execution": "codeExecution",
    "url_context": "urlContext",
    "google_maps": "googleMaps",
    "file_search": "fileSearch",
    "computer_use": "computerUse",
}
_NATIVE = frozenset(BUILT_IN.values())
RAW_INPUT = {"type": "object", "properties": {"input": {"type": "string"}}, "required": ["input"]}
_MODES = {"none": "NONE", "auto": "AUTO", "required": "ANY"}


class Tools:
    """The tools of one request: functions to declare, and tools that Google runs itself.

    server_side: whether the API must be told when both kinds are mixed (the Gemini API must, Vertex refuses it).
    """

    def __init__(self, can: Abilities, names: Names, server_side: bool = True) -> None:
        self._can = can
        self._names = names
        self.server_side = server_side
        self._mode = "AUTO"
        self._only: list[str] = []  # names of the functions that may be called
        self.strict = False  # a function is to be held to its schema, which Gemini does not promise
        self.functions: list[Json] = []
        self.built_in: dict[str, Any] = {}

    def add_all(self, tools: Any) -> None:
        if not isinstance(tools, list):
            raise BadRequest("'tools' must be a list.", param="tools")
        for at, tool in enumerate(tools):
            self._add(f"tools[{at}]", tool)

    def _add(self, where: str, tool: Any) -> None:
        kind = tool.get("type") if isinstance(tool, dict) else None
        if kind == "function":
            self._declare(where, tool.get("function"))
        elif kind == "custom":
            self._declare(where, _as_function(tool.get("custom")))
        elif isinstance(kind, str) and kind in BUILT_IN:
            self.built_in[BUILT_IN[kind]] = tool.get(kind) or {}
        elif kind is None and isinstance(tool, dict) and tool:
            for name, options in tool.items():
                self._add_native(where, name, options)
        else:
            raise BadRequest(f"{where}: Gemini has no tools of type {kind!r}.", param=where)

    def _declare(self, where: str, function: Any) -> None:
        self.functions.append(_declaration(where, function, self._names))
        self.strict = self.strict or function.get("strict") is True

    def _add_native(self, where: str, name: str, options: Any) -> None:
        """A tool in Gemini's own form: `{"googleSearch": {}}`, in either spelling."""
        if name in ("functionDeclarations", "function_declarations"):
            self.functions.extend(as_list(options))
        elif BUILT_IN.get(name, name) in _NATIVE:
            self.built_in[BUILT_IN.get(name, name)] = options or {}
        else:
            raise BadRequest(f"{where}: {name!r} is no tool of Gemini's.", param=where)

    def refuse(self) -> list[str]:
        """Removes what the model does not support, and returns its names."""
        refused: list[str] = []
        if not self._can.functions and self.functions:
            refused.append("tools")
            self.functions.clear()
        if not self._can.tools and self.built_in:
            refused.extend(f"tools.{name}" for name in self.built_in)
            self.built_in.clear()
        return refused

    def choose(self, choice: Any) -> None:
        """Reads `tool_choice` in all its forms: a word, one function, or a list of allowed functions."""
        allowed = choice.get("allowed_tools") if isinstance(choice, dict) else None
        if isinstance(allowed, dict):
            self._only = [self._names.theirs(_name(tool)) for tool in as_list(allowed.get("tools"))]
            self._mode = _mode(allowed.get("mode") or "auto")
        elif isinstance(choice, dict):
            self._only, self._mode = [self._names.theirs(_name(choice))], "ANY"
        else:
            self._mode = _mode(choice)

    def render(self) -> Json:
        """`tools` and `toolConfig`, if there are any."""
        functions = self.functions
        if self._only and self._mode == "AUTO":  # Gemini accepts names only if a call is required
            functions = [one for one in functions if one.get("name") in self._only]
        tools = [{"functionDeclarations": functions}] if functions else []
        tools += [{name: options} for name, options in self.built_in.items()]
        config = self._config() if functions else {}
        return {**({"tools": tools} if tools else {}), **({"toolConfig": config} if config else {})}

    def _config(self) -> Json:
        config: Json = {}
        if self._mode != "AUTO":
            names = {"allowedFunctionNames": self._only} if self._only and self._mode == "ANY" else {}
            config["functionCallingConfig"] = {"mode": self._mode, **names}
        if self.built_in and self.server_side and self._can.mixed:
            config["includeServerSideToolInvocations"] = True
        return config


def _as_function(custom: Any) -> Any:
    """A tool that takes any text, as a function with one text; its grammar is described in the text."""
    if not isinstance(custom, dict):
        return None
    about = [str(custom.get("description") or ""), "Put the raw text into `input`."]
    form = custom.get("format")
    grammar = form.get("grammar") if isinstance(form, dict) else None
    if isinstance(grammar, dict) and isinstance(grammar.get("definition"), str):
        about.append(f"It must follow this {grammar.get('syntax') or 'grammar'}:\n{grammar['definition']}")
    return {**custom, "description": "\n\n".join(filter(None, about)), "parameters": RAW_INPUT}


def _declaration(where: str, function: Any, names: Names) -> Json:
    if not isinstance(function, dict) or not isinstance(function.get("name"), str):
        raise BadRequest(f"{where} is not a function with a name.", param=where)
    declaration: Json = {"name": names.theirs(function["name"])}
    if function.get("description"):
        declaration["description"] = function["description"]
    parameters = function.get("parameters")
    if isinstance(parameters, dict) and not _takes_nothing(schema := inlined(parameters)):
        declaration["parametersJsonSchema"] = schema
    return declaration


def _takes_nothing(schema: Json) -> bool:
    """Whether a function has no parameters; it is then declared without a schema."""
    if "properties" not in schema:
        return not schema
    return not any(value for key, value in schema.items() if key not in ("type", "title", "description"))


def _name(tool: Any) -> str:
    function = (tool.get("function") or tool.get("custom")) if isinstance(tool, dict) else None
    name = function.get("name") if isinstance(function, dict) else None
    if not isinstance(name, str):
        raise BadRequest("'tool_choice' names no function.", param="tool_choice")
    return name


def _mode(choice: Any) -> str:
    if not isinstance(choice, str) or choice not in _MODES:
        raise BadRequest(f"'tool_choice' cannot be {choice!r}.", param="tool_choice")
    return _MODES[choice]
