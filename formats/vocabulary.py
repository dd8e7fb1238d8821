"""A file's vocabulary, checked: token texts, kinds and scores, special ids, what encode() adds.

Keys are `tokenizer.ggml.*`; what they leave open follows llama.cpp's defaults for the tokenizer
model (src/llama-vocab.cpp). An id outside the vocabulary is an error here, also where llama.cpp
warns and takes its default.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .codec import BYTE_TEXTS
from .errors import TokenizerError, shown
from .metadata import Metadata
from .special_tokens import FIM_TEXTS, I8, Kind, SpecialTokens, end_of_generation

F32 = NDArray[np.float32]

KEY: Final = "tokenizer.ggml."
# Keys that name one token; llama.cpp spells the separator's this way.
NAMED_IDS: Final[Mapping[str, str]] = {
    "bos": "bos_token_id",
    "eos": "eos_token_id",
    "eot": "eot_token_id",
    "eom": "eom_token_id",
    "unknown": "unknown_token_id",
    "separator": "seperator_token_id",
    "padding": "padding_token_id",
    "mask": "mask_token_id",
    **{name: f"{name}_token_id" for name in FIM_TEXTS},
}
OLD_FIM_IDS: Final[Mapping[str, str]] = {
    "fim_pre": "prefix_token_id",
    "fim_suf": "suffix_token_id",
    "fim_mid": "middle_token_id",
}


class Around(Enum):
    """What encode() puts around a text."""

    AS_FILE_SAYS = "begin and end tokens if the file asks for them"
    SEPARATOR = "the begin token and the separator"
    NOTHING = "nothing"


class Defaults(NamedTuple):
    """What a tokenizer model means where its file is silent; an id past the vocabulary is none."""

    bos: int | None = None
    eos: int | None = None
    unknown: int | None = None
    separator: int | None = None
    add_bos: bool = False
    always_bos: bool = False
    add_eos: bool = False
    space_prefix: bool = False
    around: Around = Around.AS_FILE_SAYS


@dataclass(frozen=True, eq=False)
class Vocabulary:
    """The tokens by id, and the id of each text.

    `begin` and `end` are the ids that encode() puts around a text, `eog` those that end a
    generation; `space_prefix`: a text gets a leading space.
    """

    tokens: Sequence[str]
    ids: Mapping[str, int]
    kinds: I8
    bos: int | None
    eos: int | None
    unknown: int | None
    begin: tuple[int, ...]
    end: tuple[int, ...]
    space_prefix: bool
    eog: frozenset[int]
    special: SpecialTokens

    def of_kind(self, *kinds: Kind) -> list[int]:
        """The ids of these kinds, ascending."""
        ids: list[int] = np.flatnonzero(np.isin(self.kinds, kinds)).tolist()
        return ids


def read_vocabulary(metadata: Metadata, defaults: Defaults) -> Vocabulary:
    """Read and check a vocabulary; TokenizerError or MetadataError says what is wrong with it."""
    tokens = _tokens(metadata)
    ids = _ids_of(tokens)
    kinds = _kinds(metadata, tokens)
    named = _named_ids(metadata, defaults, len(tokens))
    eog = end_of_generation(ids, kinds, named)
    begin, end = _around(metadata, defaults, named)
    return Vocabulary(
        tokens=tokens,
        ids=ids,
        kinds=kinds,
        bos=named["bos"],
        eos=named["eos"],
        unknown=named["unknown"],
        begin=begin,
        end=end,
        space_prefix=metadata.boolean(f"{KEY}add_space_prefix", defaults.space_prefix),
        eog=eog,
        special=SpecialTokens(tokens, kinds, *_swallowing(metadata, ids, kinds)),
    )


def read_scores(metadata: Metadata, n_tokens: int) -> F32:
    """The tokens' scores, float32[n_tokens]; zeros if the file has none."""
    key = f"{KEY}scores"
    if key not in metadata:
        return np.zeros(n_tokens, np.float32)
    scores = _typed_array(metadata, key, ("float32", "int32"), n_tokens).astype(np.float32)
    if not np.isfinite(scores).all():
        index = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise TokenizerError(f"{key}[{index}]: found {scores[index]}, expected a finite number")
    return scores


def _tokens(metadata: Metadata) -> Sequence[str]:
    tokens = metadata.strings(f"{KEY}tokens")
    if not tokens:
        raise TokenizerError(f"{KEY}tokens: found no tokens, expected at least one")
    if "" not in tokens:
        return tokens
    return [text or f"[EMPTY_{id}]" for id, text in enumerate(tokens)]


def _ids_of(tokens: Sequence[str]) -> dict[str, int]:
    ids = dict(zip(tokens, range(len(tokens)), strict=True))
    if len(ids) == len(tokens):
        return ids
    id, text = next((id, text) for id, text in enumerate(tokens) if ids[text] != id)
    raise TokenizerError(
        f"{KEY}tokens: found {shown(text)} as id {id} and {ids[text]}, expected each text once"
    )


def _kinds(metadata: Metadata, tokens: Sequence[str]) -> I8:
    key = f"{KEY}token_type"
    if key not in metadata:
        return np.full(len(tokens), Kind.NORMAL, np.int8)
    kinds = _typed_array(metadata, key, ("int32", "uint32"), len(tokens)).astype(np.int64)
    for id in np.flatnonzero(kinds == Kind.BYTE).tolist():
        if tokens[id] not in BYTE_TEXTS:
            raise TokenizerError(
                f"{KEY}tokens[{id}]: found {shown(tokens[id])}, expected <0xHH> for a byte token"
            )
    known = (kinds >= Kind.UNDEFINED) & (kinds <= Kind.BYTE)
    return np.where(known, kinds, Kind.UNDEFINED).astype(np.int8)


def _typed_array(
    metadata: Metadata, key: str, types: tuple[str, ...], n_tokens: int
) -> NDArray[np.generic]:
    array = metadata[key]
    if not isinstance(array, np.ndarray) or array.dtype.name not in types:
        found = array.dtype.name if isinstance(array, np.ndarray) else type(array).__name__
        raise TokenizerError(f"{key}: found {found}, expected an array of {' or '.join(types)}")
    if len(array) != n_tokens:
        raise TokenizerError(
            f"{key}: found {len(array)} values, expected {n_tokens}, one per token"
        )
    return array


def _named_ids(metadata: Metadata, defaults: Defaults, n_tokens: int) -> dict[str, int | None]:
    named: dict[str, int | None] = {}
    for names in (NAMED_IDS, OLD_FIM_IDS):
        for name, key in names.items():
            default = named.get(name, getattr(defaults, name, None))
            id = metadata.integer(KEY + key, None)
            if id is not None and not 0 <= id < n_tokens:
                raise TokenizerError(
                    f"{KEY}{key}: found {id}, expected an id from 0 to {n_tokens - 1}"
                )
            if id is None and default is not None and default < n_tokens:
                id = default
            named[name] = id
    return named


def _around(
    metadata: Metadata, defaults: Defaults, named: Mapping[str, int | None]
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The ids before and after a text."""
    if defaults.around is Around.NOTHING:
        return (), ()
    if defaults.around is Around.SEPARATOR:
        return _needed(named, "bos"), _needed(named, "separator")
    add_bos = metadata.boolean(f"{KEY}add_bos_token", defaults.add_bos) or defaults.always_bos
    add_eos = metadata.boolean(f"{KEY}add_eos_token", defaults.add_eos)
    begin = _needed(named, "bos") if add_bos else ()
    return begin, _needed(named, "eos") if add_eos else ()


def _needed(named: Mapping[str, int | None], name: str) -> tuple[int]:
    id = named[name]
    if id is None:
        raise TokenizerError(f"{KEY}{NAMED_IDS[name]}: found none, but texts are to have it")
    return (id,)


def _swallowing(
    metadata: Metadata, ids: Mapping[str, int], kinds: I8
) -> tuple[frozenset[int], frozenset[int]]:
    """Ids that swallow the spaces before, and after them: no key says so, llama.cpp knows names."""
    name = metadata.string("general.name", "").lower()
    architecture = metadata.string("general.architecture", "")
    pre = metadata.string(f"{KEY}pre", "")
    masks = ("jina-v2-de" in pre, "jina-v2-es" in pre, "jina-v2-code" in pre)
    if any(masks) or "nomic-bert-moe" in architecture or "jina-bert-v3" in architecture:
        return frozenset(ids[text] for text in ("<mask>",) if text in ids), frozenset()
    if "phi-3" in name or "phi3" in name:
        special = np.isin(kinds, (Kind.CONTROL, Kind.USER_DEFINED, Kind.UNKNOWN))
        kept = {ids.get(text) for text in ("<unk>", "<s>", "<|endoftext|>")}
        return frozenset(), frozenset(np.flatnonzero(special).tolist()) - kept
    if "modern-bert" in name:
        return frozenset(ids[text] for text in ("[MASK]",) if text in ids), frozenset()
    return frozenset(), frozenset()
