"""The coding agents, each with its settings and with the tools that its version has."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import orjson

from tests.clients.agent import KEY, Agent, Desk
from tests.clients.wires.turn import Call, Json


def _bash(tool: str, **more: object) -> Callable[[str], Call]:
    return lambda command: Call(tool, {"command": command, "description": "Prints a line", **more})


def _edit(tool: str, path: str, old: str, new: str, **more: object) -> Callable[[str, str, str], Call]:
    """By the names that the tool has for the path, the old text and the new text."""
    return lambda at, before, after: Call(tool, {path: at, old: before, new: after, **more})


def _look(tool: str, path: str) -> Callable[[str], Call]:
    return lambda at: Call(tool, {path: at})


def _json(value: Json) -> str:
    return orjson.dumps(value).decode()


CLAUDE_CODE = Agent(
    "claude-code",
    ".bin/claude",
    "messages",
    _bash("Bash"),
    _edit("Edit", "file_path", "old_string", "new_string"),
    _look("Read", "file_path"),
    lambda desk, asked: ["-p", asked, "--model", desk.model, "--allowedTools", "Bash,Edit,Read"],
    lambda desk: {
        "ANTHROPIC_BASE_URL": desk.url,
        "ANTHROPIC_API_KEY": KEY,
        "ANTHROPIC_DEFAULT_HAIKU_MODEL": desk.model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    },
    resumes=("--continue",),
)


def _opencode(npm: str, dialect: str) -> Agent:
    def files(desk: Desk) -> Mapping[str, str]:
        able = {"attachment": True, "reasoning": True, "modalities": {"input": ["text", "image"], "output": ["text"]}}
        options = {"baseURL": desk.base_url, "apiKey": KEY}
        provider = {"npm": npm, "options": options, "models": {desk.model: {"name": "m", **able}}}
        return {
            ".config/opencode/opencode.json": _json({"provider": {"gw": provider}, "permission": "allow"}),
        }

    return Agent(
        f"opencode {dialect}",
        "opencode-*/bin/opencode",
        dialect,
        _bash("bash"),
        _edit("edit", "filePath", "oldString", "newString"),
        _look("read", "filePath"),
        lambda desk, asked: ["run", "--title", "Work", "-m", f"gw/{desk.model}", asked],
        lambda desk: {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_AUTOUPDATE": "1"},
        files,
        attach=lambda path: ["--file", path],
        resumes=("--continue",),
    )


def _copilot(dialect: str, **more: str) -> Agent:
    def environment(desk: Desk) -> Mapping[str, str]:
        return {
            "COPILOT_OFFLINE": "true",
            "COPILOT_PROVIDER_BASE_URL": desk.url if dialect == "messages" else desk.base_url,
            "COPILOT_PROVIDER_API_KEY": KEY,
            "COPILOT_MODEL": desk.model,
            **more,
        }

    return Agent(
        f"copilot {dialect}",
        ".bin/copilot",
        dialect,
        _bash("bash"),
        _edit("edit", "path", "old_str", "new_str"),
        _look("view", "path"),
        lambda desk, asked: ["-p", asked, "--allow-all-tools"],
        environment,
        attach=lambda path: ["--attachment", path],
        sees=False,  # and it goes on with the model of before, whatever COPILOT_MODEL says
    )


def _pi(dialect: str, api: str) -> Agent:
    def files(desk: Desk) -> Mapping[str, str]:
        base = desk.url if dialect == "messages" else desk.base_url
        model = {"id": desk.model, "reasoning": True, "input": ["text", "image"]}
        provider = {"baseUrl": base, "apiKey": KEY, "api": api, "models": [model]}
        return {".pi/agent/models.json": _json({"providers": {"gw": provider}})}

    return Agent(
        f"pi {dialect}",
        ".bin/pi",
        dialect,
        _bash("bash"),
        lambda path, old, new: Call("edit", {"path": path, "edits": [{"oldText": old, "newText": new}]}),
        _look("read", "path"),
        lambda desk, asked: ["--provider", "gw", "--model", desk.model, "-p", asked],
        lambda desk: {"PI_OFFLINE": "1"},
        files,
        attach=lambda path: [f"@{path}"],
        resumes=("--continue",),
    )


_QWEN_SETTINGS = {
    "model": {"generationConfig": {"modalities": {"image": True}}},
    "privacy": {"usageStatisticsEnabled": False},
}
QWEN = Agent(
    "qwen-code",
    ".bin/qwen",
    "chat",
    _bash("run_shell_command", is_background=False),
    _edit("edit", "file_path", "old_string", "new_string"),
    _look("read_file", "file_path"),
    lambda desk, asked: ["--auth-type", "openai", "--yolo", "-p", asked],
    lambda desk: {"OPENAI_BASE_URL": desk.base_url, "OPENAI_API_KEY": KEY, "OPENAI_MODEL": desk.model},
    lambda desk: {".qwen/settings.json": _json(_QWEN_SETTINGS)},
    mention=lambda path: f"@{path}",
    resumes=("--continue",),
    offers="todo_write",  # it asks beside its work too, with tools
)
GEMINI_CLI = Agent(
    "gemini-cli",
    ".bin/gemini",
    "gemini",
    _bash("run_shell_command"),
    _edit("replace", "file_path", "old_string", "new_string", instruction="Correct the poem"),
    _look("read_file", "file_path"),
    lambda desk, asked: ["--skip-trust", "--yolo", "-m", desk.model, "-p", asked],
    lambda desk: {"GOOGLE_GEMINI_BASE_URL": desk.url, "GEMINI_API_KEY": KEY},
    lambda desk: {".gemini/settings.json": '{"security":{"auth":{"selectedType":"gemini-api-key"}}}'},
    mention=lambda path: f"@{path}",
    resumes=("--resume", "latest"),
)


def _patch(path: str, old: str, new: str) -> Call:
    name = path.rpartition("/")[2]
    lines = ["*** Begin Patch", f"*** Update File: {name}", "@@", f"-{old}", f"+{new}", "*** End Patch", ""]
    return Call("apply_patch", text="\n".join(lines))


def _codex_settings(desk: Desk) -> Mapping[str, str]:
    provider = f'name = "gw"\nbase_url = "{desk.base_url}"\nenv_key = "GW_KEY"\nwire_api = "responses"'
    head = f'model = "{desk.model}"\nmodel_provider = "gw"'
    return {".codex/config.toml": f"{head}\n[model_providers.gw]\n{provider}\n"}


CODEX_CLI = Agent(
    "codex",
    "",
    "responses",
    lambda command: Call("exec_command", {"cmd": command}),
    _patch,
    _look("view_image", "path"),
    lambda desk, asked: ["exec", "--skip-git-repo-check", "--sandbox", "danger-full-access", asked],
    lambda desk: {"GW_KEY": KEY},
    _codex_settings,
    attach=lambda path: ["--image", path],
    model="gpt-5.5",  # by this name it is offered apply_patch
    reads=lambda path: Call("exec_command", {"cmd": f"cat {path}"}),
)
EVERY = (
    CLAUDE_CODE,
    CODEX_CLI,
    _opencode("@ai-sdk/openai-compatible", "chat"),
    _opencode("@ai-sdk/openai", "responses"),
    _opencode("@ai-sdk/anthropic", "messages"),
    _copilot("chat"),
    _copilot("responses", COPILOT_PROVIDER_WIRE_API="responses"),
    _copilot("messages", COPILOT_PROVIDER_TYPE="anthropic"),
    _pi("chat", "openai-completions"),
    _pi("responses", "openai-responses"),
    _pi("messages", "anthropic-messages"),
    QWEN,
    GEMINI_CLI,
)
