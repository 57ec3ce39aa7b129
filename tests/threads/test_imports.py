"""Exports of other chat programs: what becomes of each kind of content, and what is counted as left out."""

from __future__ import annotations

from typing import Any

import pytest

from llmproxy.conversations.imports import converted, read
from llmproxy.core.errors import BadRequest
from tests.threads.house import Open

PLACES = ("sqlite",)
Json = dict[str, Any]


def one(file: Any) -> tuple[Json, Json]:
    """The only thread, and what was left out."""
    made, left = converted(file, 5.0)
    [thread] = made["threads"]
    return thread, dict(left)


def shape(thread: Json, *members: str) -> list[list[Any]]:
    return [[message.get(name) for name in members] for message in thread["messages"]]


# ChatGPT


def node(id: str, parent: str | None, role: str, content: Any, **message: Any) -> tuple[str, Json]:
    content = content if isinstance(content, dict) else {"content_type": "text", "parts": [content]}
    author = {"role": role, "name": message.pop("name", None), "metadata": {}}
    said = {"author": author, "content": content, "create_time": 1700000000.5, "recipient": "all", "metadata": {}}
    return id, {"id": id, "parent": parent, "children": [], "message": {**said, **message}}


def gpt(*nodes: tuple[str, Json], at: str) -> list[Json]:
    mapping = {"root": {"id": "root", "parent": None, "message": None}, **dict(nodes)}
    about = {"title": "Reasons", "create_time": 1700000000, "update_time": 1700000100}
    return [{**about, "mapping": mapping, "current_node": at}]


def test_chatgpt_branches_stay_branches_and_the_shown_one_is_shown() -> None:
    thread, left = one(
        gpt(
            node("sys", "root", "system", ""),
            node("q", "sys", "user", "Why?"),
            node("a", "q", "assistant", "Because.", metadata={"model_slug": "gpt-4o"}),
            node("b", "q", "assistant", "Well."),
            at="a",
        )
    )
    assert shape(thread, "id", "parent_id", "role", "content", "model") == [
        ["q", None, "user", "Why?", None],
        ["a", "q", "assistant", "Because.", "gpt-4o"],
        ["b", "q", "assistant", "Well.", None],
    ]
    assert (thread["title"], thread["head"], thread["created_at"], left) == ("Reasons", "a", 1700000000, {})


def test_the_steps_of_a_chatgpt_answer_are_parts_of_one_answer() -> None:
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "Counting", "content": "One, two."}]}
    recap = {"content_type": "reasoning_recap", "content": "Thought for 5s"}
    thread, left = one(
        gpt(
            node("q", "root", "user", "Count"),
            node("t", "q", "assistant", thoughts),
            node("r", "t", "assistant", recap, metadata={"finished_duration_sec": 5}),
            node("c", "r", "assistant", {"content_type": "code", "text": "print(2)"}, recipient="python"),
            node("o", "c", "tool", {"content_type": "execution_output", "text": "2\n"}, name="python"),
            node("a", "o", "assistant", "Two."),
            at="a",
        )
    )
    [_, answer] = thread["messages"]
    assert (answer["id"], thread["head"], answer["content"], answer["reasoning_ms"]) == ("t", "t", "Two.", 5000)
    assert answer["tool_calls"] == [{"id": None, "index": 0, "name": "python", "arguments": "print(2)"}]
    assert answer["parts"] == [
        {"type": "reasoning", "text": "**Counting**\n\nOne, two."},
        {"type": "tool_call", "index": 0},
        {"type": "reasoning", "text": "python:\n\n```\n2\n```"},
        {"type": "text", "text": "Two."},
    ]
    assert left == {}


def test_an_answer_that_was_only_thought_of_and_one_with_code_are_kept() -> None:
    thoughts = {"content_type": "thoughts", "thoughts": [{"summary": "", "content": "Hm."}]}
    code = {"content_type": "code", "language": "python", "text": "x = 1"}
    thread, _ = one(
        gpt(
            node("q", "root", "user", "?"),
            node("t", "q", "assistant", thoughts),
            node("c", "q", "assistant", code),
            at="t",
        )
    )
    assert shape(thread, "content", "reasoning")[1:] == [["", "Hm."], ["```python\nx = 1\n```", ""]]


def test_a_chatgpt_text_has_its_sources_and_no_private_letters() -> None:
    mark = "\ue200cite\ue202turn0search1\ue201"
    page = {"title": "On boiling", "url": "https://a.example/b"}
    shown = {"matched_text": mark, "alt": "([a](https://a.example/b))", "items": [page]}
    words = f"It boils {mark}. \ue200navlist\ue202x\ue201"
    thread, _ = one(
        gpt(
            node("q", "root", "user", "Does it?"),
            node("a", "q", "assistant", words, metadata={"content_references": [shown]}),
            at="a",
        )
    )
    answer = thread["messages"][1]
    assert answer["content"] == "It boils ([a](https://a.example/b)). "
    assert [(one["index"], one["url"], one["title"]) for one in answer["citations"]] == [
        (1, page["url"], page["title"])
    ]


def test_what_chatgpt_only_points_at_or_hides_is_named_and_counted() -> None:
    picture = {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-1"}
    thread, left = one(
        gpt(
            node("s", "root", "system", "Be brief."),
            node("u", "s", "user", {"content_type": "user_editable_context", "user_profile": "x"}),
            node("q", "u", "user", {"content_type": "multimodal_text", "parts": [picture, "Look"]}),
            node("h", "q", "assistant", "unseen", metadata={"is_visually_hidden_from_conversation": True}),
            node("e", "h", "tool", {"content_type": "computer_output", "screenshot": {}}, name="computer"),
            node("a", "e", "assistant", "A dot."),
            at="a",
        )
    )
    assert shape(thread, "content") == [["[image: file-1]\n\nLook"], ["A dot."]]
    assert left == {"system": 1, "user_editable_context": 1, "image": 1, "hidden": 1, "computer_output": 1}


def test_a_circle_among_parents_ends_and_is_counted() -> None:
    file = gpt(node("q", "root", "user", "Hi"), node("a", "b", "assistant", "x"), node("b", "a", "user", "y"), at="a")
    thread, left = one(file)
    assert shape(thread, "id") == [["q"]]
    assert left == {"message": 2}


# Claude


def claude(*messages: Json, **about: Any) -> list[Json]:
    return [
        {"uuid": "x", "name": "Milk", "created_at": "2025-01-02T03:04:05Z", "chat_messages": list(messages), **about}
    ]


def said(id: str, sender: str, *content: Json, parent: str | None = None, **more: Any) -> Json:
    linked = {"parent_message_uuid": parent} if parent else {}
    return {
        "uuid": id,
        "sender": sender,
        "created_at": f"2025-01-02T03:04:0{id}Z",
        "content": list(content),
        **linked,
        **more,
    }


def words(text: str) -> Json:
    return {"type": "text", "text": text}


ROOT = "00000000-0000-4000-8000-000000000000"


def test_claudes_branches_stay_branches() -> None:
    thread, _ = one(
        claude(
            said("1", "human", words("Hi"), parent=ROOT),
            said("2", "assistant", words("Hello"), parent="1"),
            said("3", "assistant", words("Good day"), parent="1"),
            current_leaf_message_uuid="2",
        )
    )
    assert shape(thread, "id", "parent_id") == [["1", None], ["2", "1"], ["3", "1"]]
    assert thread["head"] == "2"


def test_claudes_thoughts_and_tools_are_parts_and_messages_without_parents_a_row() -> None:
    found = {"type": "tool_result", "name": "web_search", "content": [{"type": "text", "text": "wet"}]}
    thread, left = one(
        claude(
            said("1", "human", words("Is it?")),
            said(
                "2",
                "assistant",
                {"type": "thinking", "thinking": "hm"},
                {"type": "tool_use", "name": "web_search", "input": {"q": "it"}},
                found,
                words("It is"),
                {"type": "token_budget"},
                {"type": "voice_note"},
            ),
        )
    )
    answer = thread["messages"][1]
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "tool_call", "reasoning", "text"]
    assert answer["tool_calls"][0]["arguments"] == '{"q":"it"}'
    assert (answer["content"], answer["parent_id"], left) == ("It is", "1", {"voice_note": 1})
    assert "wet" in answer["reasoning"]


def test_claudes_attachments_come_with_their_text_and_files_with_their_name() -> None:
    thread, left = one(
        claude(
            said(
                "1",
                "human",
                words("Read"),
                attachments=[{"file_name": "a.txt", "extracted_content": "milk"}],
                files=[{"file_name": "dot.png", "file_kind": "image"}],
                files_v2=[{"file_name": "dot.png", "file_kind": "image"}],
            ),
        )
    )
    texts = [part["text"] for part in thread["messages"][0]["content"]]
    assert texts == ["Read", '<file name="a.txt">\nmilk\n</file>', "[image: dot.png]"]
    assert left == {"image": 1}


# Open WebUI and llms.py


def test_open_webuis_tree_has_its_pin_tags_pictures_and_reasoning() -> None:
    thought = '<details type="reasoning" done="true" duration="4">\n<summary>Thought</summary>\n&gt; so\n</details>'
    called = '<details type="tool_calls" name="clock" arguments="&quot;{}&quot;" result="&quot;noon&quot;"></details>'
    url = "data:image/png;base64,AA"
    files = [{"type": "image", "url": url}, {"type": "file", "name": "b.pdf"}]
    messages = {
        "q": {"parentId": None, "role": "user", "content": "Hi", "timestamp": 1700000000, "files": files},
        "a": {"parentId": "q", "role": "assistant", "content": f"{thought}\n{called}\nHello", "model": "llama3"},
    }
    chat = {"history": {"messages": messages, "currentId": "a"}}
    thread, left = one([{"title": "T", "pinned": True, "meta": {"tags": ["x"]}, "chat": chat}])
    question, answer = thread["messages"]
    assert (thread["pinned"], thread["settings"], thread["head"], left) == (True, {"tags": ["x"]}, "a", {"file": 1})
    assert question["content"][1] == {"type": "image_url", "image_url": {"url": url}}
    assert (answer["content"], answer["reasoning_ms"], answer["model"]) == ("Hello", 4000, "llama3")
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "tool_call", "reasoning", "text"]
    assert answer["parts"][0]["text"] == "so"


def test_a_thread_of_llms_py_has_its_system_prompt_reasoning_and_pictures() -> None:
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}
    cached = {"type": "image_url", "image_url": {"url": "/~cache/b.png"}}
    messages = [
        {"role": "user", "content": [words("Hi"), picture], "timestamp": "2025-01-01T00:00:00Z"},
        {
            "role": "assistant",
            "content": "Hello",
            "reasoning": "hm",
            "images": [picture, cached],
            "timestamp": 1735689601000,
        },
    ]
    about = {"title": "T", "model": "m", "systemPrompt": "Be brief", "createdAt": "2025-01-01T00:00:00Z"}
    thread, left = one({"threads": [{**about, "messages": messages}]})
    question, answer = thread["messages"]
    assert thread["settings"] == {"system": "Be brief"}
    assert question["content"] == [words("Hi"), picture]
    assert [part["type"] for part in answer["parts"]] == ["reasoning", "text", "image", "text"]
    assert (answer["model"], answer["created_at"], left) == ("m", 1735689601, {"image": 1})


# All


@pytest.mark.parametrize("file", [[], {}, [{"a": 1}], "x", None, 3])
def test_what_is_none_of_these_is_refused(file: Any) -> None:
    with pytest.raises(BadRequest):
        converted(file, 5.0)


def test_halves_of_letters_do_not_spoil_an_export() -> None:
    assert read(b'["\\ud83d", "\\ud83d\\ude00"]') == ["?", "\U0001f600"]
    with pytest.raises(BadRequest):
        read(b"[")


async def test_the_api_takes_them_and_says_what_was_left_out(opened: Open) -> None:
    empty = {"title": "Nothing", "mapping": {}}
    async with opened() as house:
        file = [*gpt(node("s", "root", "system", "Hm."), node("q", "s", "user", "Hi"), at="q"), empty]
        status, answer = await house.call("POST", "/threads/import", file)
        assert (status, answer["left_out"]) == (200, {"system": 1, "chat": 1})
        assert [one["content"] for one in await house.messages(answer["threads"][0])] == ["Hi"]
        status, answer = await house.call("POST", "/threads/import", {"a": 1})
        assert (status, answer["error"]["code"]) == (400, "unknown_export")
