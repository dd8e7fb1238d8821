"""Encoder-decoders against a plain float64 forward pass and llama.cpp (golden/encoder_decoders);
what a session does with a source.
"""

from __future__ import annotations

import functools
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from gnomon.engine.embed import hidden_rows
from gnomon.engine.errors import LMStudioValueError, ModelLoadError
from gnomon.engine.hparams import read_hparams
from gnomon.engine.load_config import LoadConfig
from gnomon.engine.model import Model
from gnomon.formats.metadata import Metadata

GOLDEN = Path(__file__).parents[1] / "golden" / "encoder_decoders"
NAMES = sorted(path.stem for path in GOLDEN.glob("*.json"))
LIMITS = {"float64": 1e-14, "float32": 1e-12}  # logits are rounded to float32
MODES = ["float64", "float32", "int8"]


@pytest.fixture(scope="module")
def model(encoder_path: Any) -> Any:
    @functools.cache
    def open_model(name: str, compute: Any, threads: int = 2) -> Model:
        config = LoadConfig(compute=compute, cpu_threads=threads)
        return Model.open(encoder_path(name, GOLDEN), config)

    return open_model


@functools.cache
def golden(name: str) -> dict[str, Any]:
    with np.load(GOLDEN / f"{name}.npz") as arrays:
        return dict(arrays)


def ids_of(name: str) -> tuple[list[int], list[int]]:
    arrays = golden(name)
    return arrays["source"].tolist(), arrays["tokens"].tolist()


# More than a page of 128 positions on both sides; the source ends within a page.
SOURCE, ANSWER = np.random.default_rng(4).integers(3, 128, (2, 300)).tolist()


def answered(model: Model, source: list[int], tokens: list[int], size: int) -> bytes:
    """All logits of an answer fed in pieces."""
    with model.session() as session:
        session.encode(source)
        starts = range(0, len(tokens), size)
        rows = [session.feed(tokens[i : i + size], logits="all") for i in starts]
    return np.concatenate(rows).tobytes()


def nmse(found: Any, exact: Any) -> float:
    return float(((found - exact) ** 2).sum() / (exact**2).sum())


def logits_of(model: Model, name: str) -> Any:
    source, tokens = ids_of(name)
    return np.frombuffer(answered(model, source, tokens, 24), np.float32).reshape(24, -1)


@pytest.mark.parametrize("compute", LIMITS)
@pytest.mark.parametrize("name", NAMES)
def test_logits_agree_with_the_golden(name: str, compute: str, model: Any) -> None:
    assert nmse(logits_of(model(name, compute), name), golden(name)["logits"]) <= LIMITS[compute]


@pytest.mark.parametrize("compute", LIMITS)
@pytest.mark.parametrize("name", [name for name in NAMES if "llama_cpp" in golden(name)])
def test_logits_agree_with_llama_cpp(name: str, compute: str, model: Any) -> None:
    exact = golden(name)["llama_cpp"].astype(np.float64)
    assert nmse(logits_of(model(name, compute), name), exact) <= 1e-9


def test_int8_is_near_the_golden(model: Any) -> None:
    assert nmse(logits_of(model("t5-q8", "int8"), "t5-q8"), golden("t5-q8")["logits"]) <= 1e-4


@pytest.mark.parametrize("compute", MODES)
@pytest.mark.parametrize("name", NAMES)
def test_pieces_give_the_same_bytes(name: str, compute: str, model: Any) -> None:
    source, tokens = ids_of(name)
    opened = model(name, compute)
    whole = answered(opened, source, tokens, 24)
    assert answered(opened, source, tokens, 5) == whole, "pieces of 5"
    assert answered(opened, source, tokens, 1) == whole, "token by token"


@pytest.mark.parametrize("compute", ["float32", "int8"])
def test_pieces_of_many_pages_give_the_same_bytes(compute: str, model: Any) -> None:
    one, two = model("t5-q8", compute, 1), model("t5-q8", compute, 2)
    whole = answered(two, SOURCE, ANSWER, 300)
    assert answered(two, SOURCE, ANSWER, 37) == whole, "pieces of 37"
    assert answered(one, SOURCE, ANSWER, 1) == whole, "token by token on one thread"


def test_many_pages_agree_with_float64(model: Any) -> None:
    both = [
        answered(model("t5", compute), SOURCE, ANSWER, 300) for compute in ("float32", "float64")
    ]
    found, exact = (np.frombuffer(rows, np.float32).astype(np.float64) for rows in both)
    assert nmse(found, exact) <= 1e-12


@pytest.mark.parametrize("compute", MODES)
def test_a_fork_and_its_origin_share_the_source(compute: str, model: Any) -> None:
    source, tokens = ids_of("t5")
    opened = model("t5", compute)
    whole = answered(opened, source, tokens, 24)
    with opened.session() as session:
        session.encode(source)
        first = session.feed(tokens[:8], logits="all")
        pages = opened._pages.in_use
        twin = session.fork()
        assert opened._pages.in_use == pages, "nothing is copied"
        twin.feed([5, 6, 7], logits="none")
        rest = session.feed(tokens[8:], logits="all")
    with twin:
        twin.rewind(8)
        again = twin.feed(tokens[8:], logits="all")
    assert [(first.tobytes() + part.tobytes()) for part in (rest, again)] == [whole] * 2
    assert opened._pages.in_use == 0


@pytest.mark.parametrize("compute", MODES)
def test_a_rewind_keeps_the_source(compute: str, model: Any) -> None:
    source, tokens = ids_of("t5")
    opened = model("t5", compute)
    with opened.session() as session:
        session.encode(source)
        session.feed([9, 8, 7], logits="none")
        session.rewind(0)
        again = session.feed(tokens, logits="all").tobytes()
    assert again == answered(opened, source, tokens, 24)


@pytest.mark.parametrize("compute", MODES)
def test_answers_to_other_sources_in_the_same_step_change_nothing(compute: str, model: Any) -> None:
    source, tokens = ids_of("t5")
    opened = model("t5", compute)
    sequences = [opened.sequence(64) for _ in range(3)]
    for sequence, ids in zip(sequences, (SOURCE[:150], source, [4]), strict=True):
        sequence.source = opened.read_source(ids)
    pieces = list(zip(sequences, ([7] * 30, tokens, [3]), strict=True))
    rows = opened.step(pieces, np.arange(30, 54))
    for sequence in sequences:
        sequence.release()
    assert rows.tobytes() == answered(opened, source, tokens, 24)


@pytest.mark.parametrize("name", NAMES)
def test_nothing_in_the_file_is_left_over(name: str, model: Any) -> None:
    assert model(name, "float32").notes == []


# --- what is refused ------------------------------------------------------------------------------


def test_tokens_without_a_source_are_refused(model: Any) -> None:
    with model("t5", "float32").session() as session:
        assert session.needs_source
        with pytest.raises(LMStudioValueError, match="found none, encode one first"):
            session.feed([0])
        session.encode([5, 1])
        assert not session.needs_source
        assert session.feed([0]).shape == (128,), "and the session is whole"


def test_a_second_source_is_refused(model: Any) -> None:
    with model("t5", "float32").session() as session:
        session.encode([5, 1])
        with pytest.raises(LMStudioValueError, match="one per session"):
            session.encode([5, 1])


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "found no ids"),
        ([5, 128], "found 128, expected 0 to 127"),
        ([5] * 513, "the context holds 512"),
        (["a"], "expected whole numbers"),
    ],
)
def test_a_source_that_cannot_be_read_is_refused(ids: Any, message: str, model: Any) -> None:
    opened = model("t5", "float32")
    with opened.session() as session:
        with pytest.raises(LMStudioValueError, match=message):
            session.encode(ids)
        assert session.needs_source
    assert opened._pages.in_use == 0


def test_a_source_as_long_as_the_context_is_read(model: Any) -> None:
    with model("t5", "float32").session() as session:
        session.encode([5] * 512)
        assert np.isfinite(session.feed([0])).all()


def test_a_model_without_an_encoder_takes_no_source(encoder_path: Any) -> None:
    path = encoder_path("llama-dense", GOLDEN.parent / "archs")
    with Model.open(path, LoadConfig(compute="float32")).session() as session:
        assert not session.needs_source
        with pytest.raises(LMStudioValueError, match="has no encoder"):
            session.encode([5])


def test_rows_of_a_text_without_a_source_are_refused(model: Any) -> None:
    with pytest.raises(LMStudioValueError, match="found none, encode one first"):
        hidden_rows(model("t5", "float32"), [[5, 6]])


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("t5.decoder_block_count", ["UINT32", 0]),
        ("t5.decoder_start_token_id", ["UINT32", 128]),
        ("t5.attention.relative_buckets_count", ["UINT32", 2]),
        ("t5.attention.relative_buckets_count", ["UINT32", 4_000_000_000]),
    ],
)
def test_a_number_out_of_range_is_named(key: str, value: Any, encoder_path: Any) -> None:
    path = encoder_path("t5", GOLDEN, kv={key: value})
    with pytest.raises(ModelLoadError, match=key):
        Model.open(path, LoadConfig(compute="float64"))


def test_a_file_without_the_embedding_is_refused_by_its_name(encoder_path: Any) -> None:
    path = encoder_path("t5", GOLDEN, without="token_embd.weight")
    with pytest.raises(ModelLoadError, match=r"token_embd\.weight: found no such tensor"):
        Model.open(path, LoadConfig(compute="float64"))


def test_tensors_missing_in_either_stack_are_named(encoder_path: Any) -> None:
    more = {"t5.block_count": ["UINT32", 4], "t5.decoder_block_count": ["UINT32", 3]}
    with pytest.raises(ModelLoadError) as error:
        Model.open(encoder_path("t5", GOLDEN, kv=more), LoadConfig(compute="float64"))
    assert "enc.blk.3.attn_q.weight is missing" in str(error.value)
    assert "dec.blk.2.cross_attn_k.weight is missing" in str(error.value)


@pytest.mark.parametrize(
    ("absent", "added", "start"),
    [
        ((), {"t5.decoder_start_token_id": 7}, 7),
        (("t5.decoder_start_token_id",), {"tokenizer.ggml.bos_token_id": 6}, 6),
        (("t5.decoder_start_token_id",), {"tokenizer.ggml.padding_token_id": 5}, 5),
        (("t5.decoder_start_token_id", "tokenizer.ggml.padding_token_id"), {}, None),
    ],
)
def test_an_answer_begins_with_the_file_s_token(
    absent: tuple[str, ...], added: dict[str, int], start: int | None, model: Any
) -> None:
    given = {**model("t5", "float32").metadata, **added}
    metadata = Metadata({key: value for key, value in given.items() if key not in absent})
    assert read_hparams(metadata, model("t5", "float32").arch, 128).start == start
