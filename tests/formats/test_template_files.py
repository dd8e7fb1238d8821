"""Chat templates of a checkpoint as GGUF keys, wherever it keeps them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gnomon.formats.errors import TokenizerError
from gnomon.formats.template_files import template_entries

NAMED = [{"name": "default", "template": "a"}, {"name": "tool use", "template": "b"}]


def entries(folder: Path, **files: Any) -> dict[str, Any]:
    """The keys; files are named with "__" for "." and written as they are, or as JSON."""
    for name, value in files.items():
        path = folder / name.replace("__", ".")
        path.write_text(value if isinstance(value, str) else json.dumps(value))
    found = template_entries(folder)
    return {key.removeprefix("tokenizer."): value for key, _, value in found}


def settings(value: Any) -> dict[str, Any]:
    return {"tokenizer_config__json": {"chat_template": value}}


def test_a_folder_without_templates_has_none(tmp_path: Path) -> None:
    assert entries(tmp_path, tokenizer_config__json={}) == {}


def test_a_text_is_the_template(tmp_path: Path) -> None:
    assert entries(tmp_path, **settings("{{ x }}")) == {"chat_template": "{{ x }}"}


def test_named_templates_stand_under_their_names(tmp_path: Path) -> None:
    assert entries(tmp_path, **settings(NAMED)) == {
        "chat_template": "a",
        "chat_template.tool_use": "b",
        "chat_templates": ["tool_use"],
    }


def test_names_alone_need_no_default(tmp_path: Path) -> None:
    found = entries(tmp_path, **settings(NAMED[1:]))
    assert found == {"chat_template.tool_use": "b", "chat_templates": ["tool_use"]}


def test_names_are_listed_in_order(tmp_path: Path) -> None:
    listed = [{"name": name, "template": name} for name in ("z", "b", "a")]
    assert entries(tmp_path, **settings(listed))["chat_templates"] == ["a", "b", "z"]


def test_a_file_of_its_own_is_the_template(tmp_path: Path) -> None:
    assert entries(tmp_path, chat_template__jinja="ä\n") == {"chat_template": "ä\n"}


def test_further_files_are_named_templates(tmp_path: Path) -> None:
    (tmp_path / "additional_chat_templates").mkdir()
    (tmp_path / "additional_chat_templates" / "rag-2.jinja").write_text("b")
    assert entries(tmp_path, chat_template__jinja="a") == {
        "chat_template": "a",
        "chat_template.rag_2": "b",
        "chat_templates": ["rag_2"],
    }


def test_the_settings_come_before_files(tmp_path: Path) -> None:
    found = entries(tmp_path, chat_template__jinja="b", **settings("a"))
    assert found == {"chat_template": "a"}


def test_the_json_file_comes_last(tmp_path: Path) -> None:
    other = {"chat_template": "b"}
    assert entries(tmp_path, chat_template__json=other) == {"chat_template": "b"}
    found = entries(tmp_path, chat_template__json=other, chat_template__jinja="a")
    assert found == {"chat_template": "a"}


@pytest.mark.parametrize("value", [7, {"a": "b"}, ["a"], [{"name": "a"}], [{"template": "a"}]])
def test_templates_of_another_kind_are_refused(value: Any, tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match=r"chat_template: found .*, expected a text, or"):
        entries(tmp_path, **settings(value))


def test_a_template_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "chat_template.jinja").write_bytes(b"\xff")
    with pytest.raises(TokenizerError, match=r"chat_template\.jinja: cannot be read"):
        entries(tmp_path)
