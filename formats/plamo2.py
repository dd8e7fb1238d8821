"""PLaMo-2's tokenizer: the tokens with the best sum of scores, found from the end of the text.

Scores count in ten-thousandths; a character that no token covers costs 1000 and is spelled by the
tokens <0xHH>. Of equal sums the one whose first token is longer wins. Nothing is put around a text.
"""

from collections.abc import Mapping
from math import copysign, floor
from typing import Final

from .codec import BYTE_TEXTS, HIDDEN, Codec
from .errors import TokenizerError
from .metadata import Metadata
from .special_tokens import Kind
from .vocabulary import KEY, Around, Defaults, Vocabulary, read_scores, read_vocabulary

DEFAULTS: Final = Defaults(bos=1, eos=2, unknown=0, around=Around.NOTHING)
SCALE: Final = 1e4
UNKNOWN_COST: Final = 10_000_000
WORST_SCORE: Final = -20_000_000
# Characters tried at each place: a limit keeps the time linear in the text.
MAX_TOKEN: Final = 1000
BYTE_ORDER_MARK: Final = "\ufeff"


def read_plamo2(metadata: Metadata) -> tuple[Vocabulary, Codec]:
    """Best sum of scores over characters."""
    vocabulary = read_vocabulary(metadata, DEFAULTS)
    for text in BYTE_TEXTS:
        if text not in vocabulary.ids:
            raise TokenizerError(f"{KEY}tokens: found no {text}, expected all 256 byte tokens")
    byte_ids = [vocabulary.ids[text] for text in BYTE_TEXTS]
    scores = _scores(metadata, vocabulary)
    longest = max(map(len, scores), default=0)
    if longest > MAX_TOKEN:
        raise TokenizerError(
            f"{KEY}tokens: found one of {longest} characters, expected at most {MAX_TOKEN}"
        )
    lengths: dict[str, set[int]] = {}
    for text in scores:
        lengths.setdefault(text[0], set()).add(len(text))
    tried = {head: sorted(known) for head, known in lengths.items()}

    def encode(text: str) -> list[int]:
        text = text.removeprefix(BYTE_ORDER_MARK)
        steps = _best_steps(text, scores, tried)
        ids: list[int] = []
        at = 0
        while at < len(text):
            if steps[at]:
                ids.append(vocabulary.ids[text[at : at + steps[at]]])
            else:
                ids += (byte_ids[byte] for byte in text[at].encode())
            at += steps[at] or 1
        return ids

    return vocabulary, Codec(encode, str.encode)


def _best_steps(text: str, scores: Mapping[str, int], tried: Mapping[str, list[int]]) -> list[int]:
    """For each place the length of the token that starts the best cut from there, 0 for none."""
    costs = [0] * (len(text) + 1)
    steps = [0] * len(text)
    for at in range(len(text) - 1, -1, -1):
        costs[at] = costs[at + 1] + UNKNOWN_COST
        # Longest last: at equal cost it replaces a shorter one, and any replaces none.
        for length in tried.get(text[at], ()):
            piece = text[at : at + length]
            if piece in scores and costs[at + len(piece)] - scores[piece] <= costs[at]:
                costs[at] = costs[at + len(piece)] - scores[piece]
                steps[at] = len(piece)
    return steps


def _scores(metadata: Metadata, vocabulary: Vocabulary) -> dict[str, int]:
    values = read_scores(metadata, len(vocabulary.tokens)).tolist()
    hidden = {*vocabulary.of_kind(*HIDDEN, Kind.BYTE)}
    rounded = {
        text: int(copysign(floor(abs(values[id] * SCALE) + 0.5), values[id]))
        for text, id in vocabulary.ids.items()
        if id not in hidden
    }
    return {text: score for text, score in rounded.items() if score > WORST_SCORE}
