"""A toy language model over bytes, so that the token loop and the API are tested without weights.

Its rules: behind "<|im_start|>assistant\\n" it says `reply(prompt)` and ends; a text with "dice" in
it goes on with digits, all equally likely; any other text goes on through the alphabet and ends
after "z". The first rule looks at the whole history, so a wrong prefix gives a wrong answer.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gnomon.engine.api.config import parse_load_config
from gnomon.engine.api.instance import Instance
from gnomon.engine.api.llm import LLM
from gnomon.engine.api.registry import REGISTRY
from gnomon.engine.api.results import LlmInfo
from gnomon.engine.errors import LMStudioRuntimeError, LMStudioValueError
from gnomon.kernels.tape import Tape
from gnomon.sampling.grammar.vocabulary import TokenTrie

SPECIAL = {"<s>": 256, "</s>": 257, "<|im_start|>": 258, "<|im_end|>": 259}
TEXTS = {token: text for text, token in SPECIAL.items()}
CUT = re.compile("(" + "|".join(map(re.escape, SPECIAL)) + ")")
ASSISTANT = "<|im_start|>assistant\n"


class ToyTokenizer:
    """Bytes, and four control tokens."""

    n_vocab, bos, eos, eog = 260, 256, 257, frozenset({257, 259})
    around: tuple[tuple[int, ...], tuple[int, ...]] = ((256,), ())

    def encode(
        self, text: str, *, add_special: bool = True, parse_special: bool = False
    ) -> list[int]:
        ids = [self.bos] if add_special else []
        for part in CUT.split(text) if parse_special else [text]:
            special = SPECIAL.get(part) if parse_special else None
            ids += list(part.encode()) if special is None else [special]
        return ids

    def encode_segments(self, segments: Sequence[tuple[str, bool]]) -> list[int]:
        return [self.bos] + [
            token
            for text, own in segments
            for token in self.encode(text, add_special=False, parse_special=own)
        ]

    def decode(self, ids: Sequence[int], *, special: bool = False) -> str:
        stream = self.stream(special)
        return "".join([*map(stream.push, ids), stream.flush()])

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""

    def token_text(self, token: int) -> str:
        return TEXTS[token] if token in TEXTS else chr(token)

    def stream(self, special: bool = False) -> SimpleNamespace:
        decoder = codecs.getincrementaldecoder("utf-8")("replace")

        def push(token: int) -> str:
            if token >= 256:
                return TEXTS[token] if special else ""
            return decoder.decode(bytes([token]))

        return SimpleNamespace(push=push, flush=lambda: decoder.decode(b"", final=True))


class ToyTemplate:
    """ChatML."""

    source = "chatml with tools"

    def render(
        self,
        messages: list[dict[str, Any]],
        *,
        tools: list[dict[str, Any]] | None = None,
        add_generation_prompt: bool = True,
    ) -> SimpleNamespace:
        segments: list[tuple[str, bool]] = []
        if tools:
            names = " ".join(tool["function"]["name"] for tool in tools)
            segments.append((f"<|im_start|>tools\n{names}<|im_end|>\n", True))
        for message in messages:
            segments.append((f"<|im_start|>{message['role']}\n", True))
            segments.append((str(message["content"]), False))
            segments.append(("<|im_end|>\n", True))
        if add_generation_prompt:
            segments.append((ASSISTANT, True))
        return SimpleNamespace(segments=segments, text="".join(text for text, _ in segments))


class ToySession:
    """The session contract over a list of tokens."""

    needs_source, nextn = False, None

    def __init__(self, model: ToyModel, context_length: int | None = None) -> None:
        self.model, self.tokens, self.open = model, list[int](), True
        self.threads: int | None = None
        self.context_length = context_length or model.context_length
        model.live += 1

    @property
    def position(self) -> int:
        return len(self.tokens)

    def feed(self, ids: Sequence[int], logits: str = "last") -> Any:
        if not self.open:
            raise LMStudioRuntimeError("this session is closed")
        if len(self.tokens) + len(ids) > self.context_length:
            raise LMStudioValueError("past the context")
        self.model.fed.append(len(ids))
        if self.model.on_feed is not None:
            self.model.on_feed()
        start, self.tokens = len(self.tokens), [*self.tokens, *ids]
        if logits == "all":
            ends = range(start + 1, len(self.tokens) + 1)
            return np.stack([self.model.logits(self.tokens[:end]) for end in ends])
        return self.model.logits(self.tokens) if logits == "last" else None

    def rewind(self, position: int) -> None:
        if not 0 <= position <= self.position:
            raise LMStudioValueError("no such position")
        self.tokens = self.tokens[:position]

    def fork(self) -> ToySession:
        twin = ToySession(self.model, self.context_length)
        twin.tokens = list(self.tokens)
        return twin

    def close(self) -> None:
        self.model.live -= self.open
        self.open = False

    def __enter__(self) -> ToySession:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ToyModel:
    """`fed`: sizes of all steps; `live`: open sessions; `on_feed`: called in every step."""

    n_vocab, n_ctx_train, architecture = 260, 512, "toy"
    nextn, threads = None, 2
    arch = SimpleNamespace(causal=True, source=None)

    def __init__(self, reply: Callable[[str], str], context_length: int = 512) -> None:
        self.reply = reply
        self.context_length = context_length
        self.tokenizer = ToyTokenizer()
        self.chat_template: ToyTemplate | None = ToyTemplate()
        texts = [self.tokenizer.token_bytes(token) for token in range(self.n_vocab)]
        self.token_trie = TokenTrie.build(texts, self.tokenizer.eog)
        self.metadata: dict[str, Any] = {
            "general.architecture": "toy",
            "general.name": "Toy",
            "toy.context_length": 512,
            "tokenizer.chat_template": "chatml",
        }
        self.file = SimpleNamespace(size_bytes=3)
        self.fed: list[int] = []
        self.live = 0
        self.on_feed: Callable[[], None] | None = None
        self.closed = False

    def session(self, context_length: int | None = None) -> ToySession:
        return ToySession(self, context_length)

    def close(self) -> None:
        self.closed = True

    def logits(self, tokens: list[int]) -> Any:
        row = np.full(self.n_vocab, -20.0, dtype=np.float32)
        for token in self._next(tokens):
            row[token] = 10.0
        return row

    def _next(self, tokens: list[int]) -> Sequence[int]:
        text = self.tokenizer.decode(tokens, special=True)
        head, marker, _ = text.rpartition(ASSISTANT)
        if marker:
            asked = self.tokenizer.encode(head + marker, add_special=False, parse_special=True)
            said = len(tokens) - len(asked)
            reply = self.reply(head).encode()
            return [reply[said]] if said < len(reply) else [SPECIAL["<|im_end|>"]]
        if "dice" in text:
            return range(ord("0"), ord("9") + 1)
        after = tokens[-1] + 1
        return [after] if ord("a") < after <= ord("z") else [SPECIAL["</s>"]]


def last_user(prompt: str) -> str:
    """What the user said last."""
    return prompt.rpartition("<|im_start|>user\n")[2].partition("<|im_end|>")[0]


def echo(prompt: str) -> str:
    """The toy's usual reply."""
    return f"You said: {last_user(prompt)}"


@pytest.fixture
def ran(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Number of threads of every tape that runs from now on, in order."""
    threads, run = list[int](), Tape.run

    def counting(tape: Tape, team: Any, count: int) -> None:
        threads.append(count)
        run(tape, team, count)

    monkeypatch.setattr(Tape, "run", counting)
    return threads


@pytest.fixture
def make_toy() -> Callable[..., ToyModel]:
    """Make a toy model: `make_toy(reply=..., context_length=...)`."""
    return lambda reply=echo, context_length=512: ToyModel(reply, context_length)


@pytest.fixture
def make_llm(make_toy: Callable[..., ToyModel]) -> Callable[..., LLM]:
    """Make a handle of a toy model; `config` is its load config."""

    def make(
        reply: Callable[[str], str] = echo, context_length: int = 512, config: Any = None
    ) -> LLM:
        info = LlmInfo(
            model_key="toy",
            format="gguf",
            display_name="Toy",
            path="toy.gguf",
            size_bytes=3,
            vision=False,
            trained_for_tool_use=False,
            max_context_length=512,
        )
        model: Any = make_toy(reply, context_length)
        return LLM(
            Instance(
                model,
                identifier="toy",
                info=info,
                path=Path("toy.gguf"),
                config=parse_load_config(config),
            )
        )

    return make


@pytest.fixture
def toy(make_llm: Callable[..., LLM]) -> LLM:
    """A handle of a toy model that echoes."""
    return make_llm()


@pytest.fixture
def toy_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, make_toy: Callable[..., ToyModel]
) -> Iterator[Path]:
    """A models folder in which acme/toy-model/toy.gguf loads as a toy model."""
    monkeypatch.setenv("GNOMON_MODELS", str(tmp_path))
    file = tmp_path / "acme" / "toy-model" / "toy.gguf"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"toy")

    def open_toy(path: Path, config: Any, check: Callable[[Any], None]) -> ToyModel:
        model = make_toy()
        check(model.metadata)
        return model

    monkeypatch.setattr(REGISTRY, "_open_model", open_toy)
    yield tmp_path
    for instance in REGISTRY.loaded():
        REGISTRY.unload(instance.identifier)
