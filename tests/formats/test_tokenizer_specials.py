"""Ids of special tokens, what stands around texts, and normalizing, from a checkpoint's files."""

from __future__ import annotations

from typing import Any

import pytest

from gnomon.formats.tokenizer_specials import normalizer_entries, special_entries

ADDED = [{"content": text, "id": i} for i, text in enumerate(["<s>", "</s>", "<e>", "[S]"])]


def said(post: Any = None, config: Any = None, **settings: Any) -> dict[str, Any]:
    described = {"added_tokens": ADDED, "post_processor": post}
    found = special_entries(described, settings, config or {}, 10)
    return {key.removeprefix("tokenizer.ggml."): value for key, _, value in found}


def template(single: str, pair: str = "") -> dict[str, Any]:
    """A post-processor; A and B stand for texts."""

    def pieces(text: str) -> list[dict[str, Any]]:
        return [
            {"Sequence" if part in ("A", "B") else "SpecialToken": {"id": part}}
            for part in text.split()
        ]

    return {"type": "TemplateProcessing", "single": pieces(single), "pair": pieces(pair)}


def test_a_token_s_id_is_that_of_its_text() -> None:
    assert said(bos_token="<s>", unk_token={"content": "<e>"}) == {
        "bos_token_id": 0,
        "unknown_token_id": 2,
    }


def test_the_configuration_has_the_ids_that_texts_have_not() -> None:
    found = said(config={"bos_token_id": 5, "eos_token_id": 6}, eos_token="</s>", bos_token="?")
    assert found == {"bos_token_id": 5, "eos_token_id": 1}


@pytest.mark.parametrize("id_", [10, -1, None, [1, 2], True, "1"])
def test_ids_that_are_none_are_left_out(id_: Any) -> None:
    assert said(config={"eos_token_id": id_}) == {}


def test_bert_s_first_and_last_token_are_its_beginning_and_end() -> None:
    found = said(cls_token="<s>", sep_token="</s>")
    assert (found["bos_token_id"], found["eos_token_id"]) == (0, 1)


def test_a_token_in_front_is_added() -> None:
    found = said(template("<s> A", "<s> A <s> B"), bos_token="<s>")
    assert found == {"bos_token_id": 0, "add_bos_token": True, "add_sep_token": False}


def test_another_token_behind_is_the_end() -> None:
    found = said(template("A </s>"), eos_token="<e>")
    assert found == {"eos_token_id": 1, "eot_token_id": 2, "add_eos_token": True}


@pytest.mark.parametrize(
    ("pair", "adds"),
    [("A B", None), ("A </s> B </s>", False), ("A </s> </s> B </s>", True)],
)
def test_two_separators_between_texts_are_told(pair: str, adds: bool | None) -> None:
    found = said(template("A </s>", pair), eos_token="</s>")
    assert found.get("add_sep_token") is adds


def test_a_separator_that_ends_no_text_is_told() -> None:
    assert said(template("A", "A [S] B"), sep_token="[S]")["add_sep_token"] is True


def test_bytes_alone_add_nothing() -> None:
    found = said({"type": "ByteLevel"}, add_bos_token=True)
    assert found == {"add_bos_token": False, "add_eos_token": False}


def test_the_settings_count_where_nothing_else_tells() -> None:
    found = said(add_bos_token=True, add_eos_token=False, add_sep_token="yes")
    assert found == {"add_bos_token": True, "add_eos_token": False}


def test_a_later_part_of_a_sequence_counts() -> None:
    parts = [{"type": "ByteLevel"}, template("<s> A")]
    found = said({"type": "Sequence", "processors": parts}, bos_token="<s>")
    assert (found["add_bos_token"], found["add_eos_token"]) == (True, False)


def test_roberta_adds_all() -> None:
    post = {"type": "RobertaProcessing", "cls": ["<s>", 0], "sep": ["</s>", 1]}
    found = said(post, bos_token="<s>", eos_token="</s>")
    assert [found[f"add_{name}_token"] for name in ("bos", "eos", "sep")] == [True] * 3
    assert found["seperator_token_id"] == 1


@pytest.mark.parametrize(
    ("normalizer", "flags"),
    [
        (None, {}),
        ({"type": "NFC"}, {}),
        ({"type": "BertNormalizer", "lowercase": False}, {"lowercase": False}),
        ({"type": "BertNormalizer", "strip_accents": True}, {"strip_accents": True}),
        (
            {"type": "Sequence", "normalizers": [{"type": "Lowercase"}, {"type": "StripAccents"}]},
            {"lowercase": True, "strip_accents": True},
        ),
    ],
)
def test_normalizing_is_told(normalizer: Any, flags: dict[str, bool]) -> None:
    found = {key.rpartition(".")[2]: value for key, _, value in normalizer_entries(normalizer)}
    assert found == flags
