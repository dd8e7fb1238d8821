"""Remake the token goldens with llama.cpp, by way of llama-cpp-python (0.3.36 made these).

    python make_tokens.py SMOLLM2.gguf GEMMA3.gguf

Needs llama-cpp-python, gguf, tokenizers and sentencepiece. Reads texts.json and writes, all next to
itself:

models.json          nasty texts with their ids on both models, and what ends a generation
pre_tokenizers.json  a vocabulary whose merges ignore words, and the ids that each
                     `tokenizer.ggml.pre` makes of texts with it: other words, other ids
families.json        a small random vocabulary of each family, texts with their ids, tokens' bytes
"""

import ctypes
import json
import random
import sys
import tempfile
from pathlib import Path

import gguf
import llama_cpp as llama
import sentencepiece
from tokenizers import Tokenizer, models, pre_tokenizers, trainers

HERE = Path(__file__).parent
TEXTS = json.loads((HERE / "texts.json").read_text())
UTF8_NAMES = ("gemma4", "granite-embed-multi-311m", "sarvam-moe", "whitespace")


class Oracle:
    """llama.cpp's tokenizer of one GGUF file."""

    def __init__(self, path: str) -> None:
        params = llama.llama_model_default_params()
        params.vocab_only = True
        self._model = llama.llama_model_load_from_file(path.encode(), params)
        if not self._model:
            raise SystemExit(f"llama.cpp cannot load {path}")
        self._vocab = llama.llama_model_get_vocab(self._model)
        self.size = llama.llama_vocab_n_tokens(self._vocab)

    def ids(self, text: str, add: bool = False, parse: bool = False) -> list[int]:
        data = text.encode()
        room = len(data) + 16
        buffer = (llama.llama_token * room)()
        count = llama.llama_tokenize(self._vocab, data, len(data), buffer, room, add, parse)
        return list(buffer[:count])

    def bytes(self, id: int) -> bytes:
        buffer = ctypes.create_string_buffer(4096)
        count = llama.llama_token_to_piece(self._vocab, id, buffer, 4096, 0, False)
        return buffer.raw[:count]

    def ends(self) -> list[int]:
        return [id for id in range(self.size) if llama.llama_vocab_is_eog(self._vocab, id)]

    def case(self, text: str, add: bool = False, parse: bool = False) -> dict[str, object]:
        return {"text": text, "add": add, "parse": parse, "ids": self.ids(text, add, parse)}


def oracle(metadata: dict[str, object]) -> Oracle:
    """The oracle of a vocabulary given by its metadata alone."""
    with tempfile.TemporaryDirectory() as folder:
        path = f"{folder}/vocabulary.gguf"
        writer = gguf.GGUFWriter(path, "llama")
        for key, value in metadata.items():
            if key.endswith("precompiled_charsmap"):
                kind = gguf.GGUFValueType.UINT8
                writer.add_key_value(
                    key, list(bytes.fromhex(value)), gguf.GGUFValueType.ARRAY, kind
                )
            elif isinstance(value, bool):
                writer.add_bool(key, value)
            elif isinstance(value, int):
                writer.add_uint32(key, value)
            elif isinstance(value, str):
                writer.add_string(key, value)
            else:
                writer.add_array(key, value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.close()
        return Oracle(path)


def save(name: str, golden: dict[str, object]) -> None:
    """One line for each entry of each list, so that a change is seen."""
    lines = []
    for key, value in golden.items():
        if isinstance(value, list):
            rows = ",\n".join(json.dumps(row, separators=(",", ":")) for row in value)
            value = f"[\n{rows}\n]"
        else:
            value = json.dumps(value, separators=(",", ":"))
        lines.append(f"{json.dumps(key)}:{value}")
    (HERE / name).write_text("{" + ",\n".join(lines) + "}\n")


def trained(texts: list[str], size: int, byte_level: bool) -> tuple[list[str], list[str]]:
    """Tokens and merges of a BPE that knows no words."""
    tokenizer = Tokenizer(models.BPE())
    alphabet: list[str] = []
    if byte_level:
        tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
        alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=size, show_progress=False, initial_alphabet=alphabet, max_token_length=8
    )
    tokenizer.train_from_iterator(texts, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].get)
    return tokens, [" ".join(pair) for pair in model["merges"]]


def make_models(paths: list[str]) -> None:
    golden = {}
    for path, name in zip(paths, ("smollm2", "gemma3"), strict=True):
        known = Oracle(path)
        cases = [known.case(text, add=True) for text in TEXTS["nasty"]]
        cases += [
            known.case(text, parse=True) for text in TEXTS["nasty"] if "<" in text or "[" in text
        ]
        golden[name] = cases
        golden[f"{name}_ends"] = known.ends()
    save("models.json", golden)


def make_pre_tokenizers() -> None:
    texts = [text for text in TEXTS["nasty"][:60] + TEXTS["cut"] if "\0" not in text]
    known_texts = [text for text in texts if "zqzq" not in text]
    tokens, merges = trained(known_texts * 3, 900, byte_level=True)
    # Only where a whole word may be a token without merges is this one found.
    tokens.append("\u0120zqzq")
    utf8_texts = [text.replace(" ", "\u2581") for text in texts]
    utf8_tokens, utf8_merges = trained(utf8_texts * 3, 900, byte_level=False)
    # llama.cpp gives whole runs of newlines a rule of their own, which real merges agree with.
    utf8_tokens = [token for token in utf8_tokens if "\n" not in token or token == "\n"]
    utf8_tokens += [f"<0x{byte:02X}>" for byte in range(256)]
    kept = set(utf8_tokens)
    utf8_merges = [merge for merge in utf8_merges if merge.replace(" ", "") in kept]
    results: dict[str, list[str]] = {}
    for name in TEXTS["pre_tokenizers"]:
        utf8 = name in UTF8_NAMES
        metadata = {
            "tokenizer.ggml.model": "gpt2",
            "tokenizer.ggml.pre": name,
            "tokenizer.ggml.tokens": utf8_tokens if utf8 else tokens,
            "tokenizer.ggml.merges": utf8_merges if utf8 else merges,
        }
        known = oracle(metadata)
        # It ends the process at spaces that are text.
        asked = ["".join(text.split()) for text in texts] if name == "whitespace" else texts
        ids = json.dumps([known.ids(text) for text in asked])
        results.setdefault(ids, []).append(name)
    golden = {
        "byte_level": {"tokens": tokens, "merges": merges},
        "utf8": {"tokens": utf8_tokens, "merges": utf8_merges},
        "texts": texts,
        "results": [{"names": names, "ids": json.loads(ids)} for ids, names in results.items()],
    }
    save("pre_tokenizers.json", golden)


ATOMS = (
    *"abcdeab  \n\t\\",
    "\u00e9",
    "\u4e2d",
    "\ud55c",
    "\U0001f600",
    "\u0301",
    "\ufb01",
    "\uff21",
)


def text_of(rng: random.Random, count: int) -> str:
    return "".join(rng.choice(ATOMS) for _ in range(count))


def pieces(rng: random.Random, count: int) -> list[str]:
    """Different short texts."""
    found: dict[str, None] = {}
    while len(found) < count:
        found[text_of(rng, rng.choice((1, 1, 2, 2, 3, 4)))] = None
    return list(found)


def scores(rng: random.Random, count: int) -> list[float]:
    """Scores that float32 holds exactly, some of them equal."""
    return [-rng.randrange(1, 240) / 16 for _ in range(count)]


def spaced(tokens: list[str]) -> list[str]:
    return list(dict.fromkeys(token.replace(" ", "\u2581") for token in tokens))


BYTES = [f"<0x{byte:02X}>" for byte in range(256)]


def llama_like(rng: random.Random, **more: object) -> dict[str, object]:
    tokens = ["<unk>", "<s>", "</s>", *BYTES, *spaced(pieces(rng, 150))]
    types = [2, 3, 3, *[6] * 256, *[1] * (len(tokens) - 259), 4, 3, 3]
    tokens += ["[user]", "<|sys|>", "<|endoftext|>"]
    return {
        "tokenizer.ggml.model": "llama",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.scores": scores(rng, len(tokens)),
        **more,
    }


def bert_like(rng: random.Random, **more: object) -> dict[str, object]:
    words = [piece for piece in spaced(pieces(rng, 200)) if not set(piece) & set("\n\t\u2581")]
    starts = [f"\u2581{word}" for word in words[::2]]
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "\u2581", *words, *starts]
    return {
        "tokenizer.ggml.model": "bert",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] * 4 + [1] * (len(tokens) - 4),
        "tokenizer.ggml.bos_token_id": 2,
        "tokenizer.ggml.unknown_token_id": 1,
        "tokenizer.ggml.seperator_token_id": 3,
        **more,
    }


def t5_like(rng: random.Random, **more: object) -> dict[str, object]:
    tokens = ["<pad>", "</s>", "<unk>", *spaced(pieces(rng, 150)), "<extra>"]
    types = [3, 3, 2, *[1] * (len(tokens) - 5), 5, 4]
    return {
        "tokenizer.ggml.model": "t5",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": types,
        "tokenizer.ggml.scores": scores(rng, len(tokens)),
        **more,
    }


def field(message: bytes, wanted: int) -> bytes:
    """The last bytes field of this number in a protobuf message."""
    at, found = 0, b""

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            byte = message[at]
            at += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while at < len(message):
        number, wire = divmod(varint(), 8)
        size = {0: None, 1: 8, 5: 4}.get(wire, 0)
        if size is None:
            varint()
            continue
        size = size or varint()
        at += size
        if number == wanted:
            found = message[at - size : at]
    return found


def charsmap() -> str:
    """A small map as SentencePiece compiles it, in hex."""
    rules = {"\ufb01": "fi", "\uff21": "A", "e\u0301": "\u00e9", "\t": " ", "cd": "d", "\u0301": ""}

    def codes(text: str) -> str:
        return " ".join(f"{ord(char):X}" for char in text)

    with tempfile.TemporaryDirectory() as folder:
        tsv, corpus = Path(folder) / "rules.tsv", Path(folder) / "corpus.txt"
        tsv.write_text("".join(f"{codes(old)}\t{codes(new)}\n" for old, new in rules.items()))
        corpus.write_text("a b c d e\n" * 20)
        sentencepiece.SentencePieceTrainer.train(
            input=str(corpus),
            model_prefix=f"{folder}/model",
            vocab_size=10,
            hard_vocab_limit=False,
            normalization_rule_tsv=str(tsv),
            minloglevel=2,
        )
        model = Path(f"{folder}/model.model").read_bytes()
    return field(field(model, 3), 2).hex()


def escaped(data: bytes) -> str:
    named = {9: "\\t", 10: "\\n", 92: "\\\\"}
    return "".join(
        named.get(byte) or (chr(byte) if 32 <= byte < 127 else f"\\x{byte:02x}") for byte in data
    )


def rwkv_like(rng: random.Random) -> dict[str, object]:
    known = [bytes((byte,)) for byte in range(256)]
    known += [piece.encode()[: rng.choice((2, 3, 4, 9))] for piece in pieces(rng, 120)]
    tokens = ["<s>", *map(escaped, dict.fromkeys(known))]
    return {
        "tokenizer.ggml.model": "rwkv",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [3] + [1] * (len(tokens) - 1),
    }


def plamo2_like(rng: random.Random) -> dict[str, object]:
    special = ["<|plamo:unk|>", "<|plamo:bos|>", "<|plamo:eos|>", "<|plamo:pad|>"]
    tokens = [*special, *BYTES, *pieces(rng, 150)]
    values = [
        -1100.0 if index % 40 == 0 else score
        for index, score in enumerate(scores(rng, len(tokens)))
    ]
    return {
        "tokenizer.ggml.model": "plamo2",
        "tokenizer.ggml.tokens": tokens,
        "tokenizer.ggml.token_type": [2, 3, 3, 3, *[6] * 256, *[1] * (len(tokens) - 260)],
        "tokenizer.ggml.scores": values,
    }


def make_families() -> None:
    rng = random.Random(1)
    key = "tokenizer.ggml."
    vocabularies = {
        "llama": llama_like(rng),
        "llama without prefix": llama_like(rng, **{f"{key}add_space_prefix": False}),
        "phi-3": llama_like(rng, **{"general.name": "Phi-3 mini", f"{key}add_eos_token": True}),
        "bert": bert_like(rng),
        "bert cased": bert_like(rng, **{f"{key}normalizer.lowercase": False}),
        "t5": t5_like(rng, **{f"{key}precompiled_charsmap": charsmap()}),
        "t5 merging": t5_like(rng, **{f"{key}remove_extra_whitespaces": True}),
        "t5 prefixing": t5_like(rng, **{f"{key}add_space_prefix": True}),
        "rwkv": rwkv_like(rng),
        "plamo2": plamo2_like(rng),
    }
    golden = []
    for name, metadata in vocabularies.items():
        known = oracle(metadata)
        special = ("<s>", "</s>", "[user]", "<|sys|>", "<extra>", "[CLS]")
        cases = [
            known.case(text, add=True)
            for text in ("", " ", "a", "  a b", "\ufeffab", "\u0130\u1e9b")
        ]
        for number in range(12):
            text = text_of(rng, rng.choice((2, 6, 20)))
            mark = special[number % len(special)]
            cases.append(known.case(text, add=number % 2 == 0))
            cases.append(known.case(f"{text} {mark}\n {text}", parse=True))
        bytes_ = [known.bytes(id).hex() for id in range(known.size)]
        golden.append({"name": name, "metadata": metadata, "cases": cases, "bytes": bytes_})
    save("families.json", {"families": golden})


if __name__ == "__main__":
    quiet = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(quiet, ctypes.c_void_p(0))
    llama.llama_backend_init()
    make_models(sys.argv[1:3])
    make_pre_tokenizers()
    make_families()
