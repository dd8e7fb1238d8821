"""BPE by merges, lowest rank first: on GPT-2's byte characters (gpt2) or on UTF-8 (gemma4).

`tokenizers` does the work. Bytes that no token spells (SmolLM2 has none for 04 or F1) are left out
of the ids, as llama.cpp does. Its rule that a run of newlines that is a token stays whole (gemma4)
is left to the merges, which give the same for the vocabularies known.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import count, repeat
from typing import TYPE_CHECKING, Any, Final

from .codec import BYTE_OF, HIDDEN, SPACE, Codec, spell_byte_level, spell_utf8
from .errors import TokenizerError, shown
from .metadata import Metadata
from .pretokenize import PreTokenizer, pre_tokenizer, word_splitter
from .vocabulary import KEY, Defaults, Vocabulary, read_vocabulary

if TYPE_CHECKING:
    from tokenizers.models import BPE

MERGES_KEY: Final = f"{KEY}merges"

Pair = tuple[str, str]


def read_gpt2(metadata: Metadata) -> tuple[Vocabulary, Codec]:
    """Byte-level BPE, words cut as `tokenizer.ggml.pre` says."""
    pre = pre_tokenizer(metadata.string(f"{KEY}pre", "") or "default")
    bos = 11 if pre.default_bos else None
    defaults = Defaults(bos=bos, eos=11, add_bos=pre.add_bos, always_bos=pre.always_bos)
    return _read(metadata, defaults, pre)


def read_gemma4(metadata: Metadata) -> tuple[Vocabulary, Codec]:
    """BPE on UTF-8, cut at newlines only, with <0xHH> tokens for what has none."""
    return _read(metadata, Defaults(always_bos=True), pre_tokenizer("gemma4"))


def _read(metadata: Metadata, defaults: Defaults, pre: PreTokenizer) -> tuple[Vocabulary, Codec]:
    from tokenizers import Tokenizer

    vocabulary = read_vocabulary(metadata, defaults)
    n_tokens = len(vocabulary.tokens)
    known = dict(vocabulary.ids)
    hidden = {}
    for id in vocabulary.of_kind(*HIDDEN):
        hidden[vocabulary.tokens[id]] = known.pop(vocabulary.tokens[id])
    # Bytes without a token get ids past the vocabulary, so that they still part their neighbours.
    unspelled = [char for char in BYTE_OF if char not in known] if pre.byte_level else []
    known.update(zip(unspelled, count(n_tokens)))
    model = _model(known, _pairs(metadata, known, hidden), hidden, pre)
    tokenizer = Tokenizer(model)
    tokenizer.pre_tokenizer = word_splitter(pre)

    def encode(text: str) -> list[int]:
        if pre.escape_spaces:
            text = text.replace(" ", SPACE)
        ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
        return [id for id in ids if id < n_tokens] if unspelled else ids

    return vocabulary, Codec(encode, spell_byte_level if pre.byte_level else spell_utf8)


def _model(
    known: dict[str, int], pairs: list[Pair], hidden: Mapping[str, int], pre: PreTokenizer
) -> BPE:
    """tokenizers' model, without merges that make or use a hidden token."""
    from tokenizers.models import BPE

    options: dict[str, Any] = {
        "byte_fallback": not pre.byte_level,
        "ignore_merges": pre.ignore_merges,
    }
    try:
        return BPE(vocab=known, merges=pairs, **options)
    except Exception:  # it has no class for merges of what is no token
        parts = {part for left, right in pairs for part in (left, right, left + right)}
        if absent := parts - known.keys():
            return BPE(vocab=known, merges=_usable(pairs, absent, hidden), **options)
        raise


def _pairs(metadata: Metadata, known: Mapping[str, int], hidden: Mapping[str, int]) -> list[Pair]:
    """The merges by rank; of equal ones the first counts."""
    merges = metadata.strings(MERGES_KEY, [])
    # Each merge is another way to part a token in two.
    limit = sum(map(len, known)) + sum(map(len, hidden))
    if len(merges) > limit:
        raise TokenizerError(
            f"{MERGES_KEY}: found {len(merges)}, expected at most {limit} for these tokens"
        )
    if set(map(str.count, merges, repeat(" "))) - {1}:
        bad = next(merge for merge in merges if merge.count(" ") != 1)
        raise TokenizerError(f"{MERGES_KEY}: found {shown(bad)}, expected two tokens and one space")
    halves = " ".join(dict.fromkeys(merges)).split(" ") if merges else []
    return list(zip(halves[::2], halves[1::2], strict=True))


def _usable(pairs: list[Pair], absent: set[str], hidden: Mapping[str, int]) -> list[Pair]:
    """The pairs without `absent` tokens; TokenizerError if there is one that is not hidden."""
    usable = []
    for left, right in pairs:
        missing = absent.intersection((left, right, left + right))
        if not missing:
            usable.append((left, right))
        elif missing - hidden.keys():
            strange = (missing - hidden.keys()).pop()
            raise TokenizerError(
                f"{MERGES_KEY}: found {shown(f'{left} {right}')}, but {shown(strange)} is no token"
            )
    return usable
