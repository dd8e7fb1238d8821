"""DRY: repeated sequences, breakers in the bytes of tokens."""

from collections.abc import Sequence

import numpy as np
import pytest

from gnomon.sampling.dry import Breakers, Repeats, suffix_lengths
from gnomon.sampling.params import Dry

ALPHABET = [b"a", b"b", b"ab", b"\n", b"c\n", b"", b"d:", b"#", b"##", b"x#"]
BREAKERS = ("\n", "##")


def token_bytes(token: int) -> bytes:
    return ALPHABET[token]


def twin(text: Sequence[int], params: Dry) -> dict[int, float]:
    """Compare every earlier place with the end, token by token."""
    owner = [i for i, token in enumerate(text) for _ in token_bytes(token)]
    data = b"".join(token_bytes(token) for token in text)
    ends = [
        owner[at + len(b) - 1]
        for b in (b.encode() for b in params.breakers)
        for at in range(len(data))
        if data.startswith(b, at)
    ]
    window = text if params.last_n < 0 else text[-params.last_n :]
    limit = min(len(window), len(text) - 1 - max(ends, default=-1))
    longest: dict[int, int] = {}
    for i in range(len(window) - 1):
        n = 0
        while n <= i and window[i - n] == window[len(window) - 1 - n]:
            n += 1
        n = min(n, limit)
        if params.allowed_length <= n >= longest.get(window[i + 1], 0):
            longest[window[i + 1]] = n
    if len(window) <= params.allowed_length or limit < params.allowed_length:
        return {}
    return {
        token: params.multiplier * params.base ** (n - params.allowed_length)
        for token, n in sorted(longest.items())
        if not any(b.encode() in token_bytes(token) for b in params.breakers)
    }


def found(repeats: Repeats) -> dict[int, float]:
    ids, amounts = repeats.penalties()
    return dict(zip(ids.tolist(), amounts.tolist(), strict=True))


@pytest.mark.parametrize("letters", [1, 2, 3, 10])
@pytest.mark.parametrize("breakers", [(), BREAKERS], ids=["no breakers", "breakers"])
def test_penalties_are_their_twin(letters: int, breakers: tuple[str, ...]) -> None:
    rng = np.random.default_rng([letters, len(breakers)])
    for _ in range(100):
        params = Dry(
            multiplier=float(rng.uniform(0.1, 2)),
            base=float(rng.uniform(1, 2)),
            allowed_length=int(rng.integers(0, 4)),
            last_n=int(rng.choice([-1, 1, 2, 5, 20])),
            breakers=breakers,
        )
        text = rng.integers(0, letters, int(rng.integers(0, 40))).tolist()
        cut = int(rng.integers(0, len(text) + 1))
        repeats = Repeats(params, token_bytes)
        repeats.extend(text[:cut])
        for token in text[cut:]:
            repeats.accept(token)
        assert found(repeats) == pytest.approx(twin(text, params), rel=1e-12)


def test_a_sequence_twice_lowers_its_next_token_only() -> None:
    repeats = Repeats(Dry(multiplier=1.0, base=2.0, breakers=()), None)
    repeats.extend([5, 6, 7, 8, 1, 5, 6, 7])
    assert found(repeats) == {8: 2.0}


def test_one_token_text_grows_the_penalty_with_each_token() -> None:
    repeats = Repeats(Dry(multiplier=1.0, base=2.0, breakers=()), None)
    for _ in range(6):
        repeats.accept(4)
    assert found(repeats) == {4: 8.0}


def test_a_breaker_split_over_tokens_is_found() -> None:
    breakers = Breakers([b"##"], token_bytes)
    for token in (9, 7, 0):
        breakers.accept(token)
    assert breakers.tokens_since == 1


def test_a_breaker_counts_once_not_again_with_the_next_token() -> None:
    breakers = Breakers([b"\n", b"##"], token_bytes)
    for token in (3, 0, 0):
        breakers.accept(token)
    assert breakers.tokens_since == 2


def test_penalties_stay_finite_for_a_text_of_one_token() -> None:
    repeats = Repeats(Dry(multiplier=1.0, base=100.0, last_n=-1, breakers=()), None)
    repeats.extend([0] * 5000)
    assert np.isfinite(found(repeats)[0])


def test_a_copy_goes_its_own_way() -> None:
    repeats = Repeats(Dry(multiplier=1.0, base=2.0, breakers=BREAKERS), token_bytes)
    repeats.extend([0, 1, 2, 0, 1])
    before = found(repeats)
    other = repeats.copy()
    other.accept(3)
    assert found(other) == {}
    assert found(repeats) == before == {2: 1.0}


def test_breakers_without_token_bytes_are_refused() -> None:
    with pytest.raises(ValueError, match="token_bytes"):
        Repeats(Dry(multiplier=1.0), None)


def test_suffix_lengths_of_a_long_hostile_text_take_linear_time() -> None:
    lengths = suffix_lengths([0] * 200_000)
    assert (lengths[0], lengths[-1]) == (1, 199_999)


@pytest.mark.parametrize("text", [[], [3], [1, 1], [1, 2, 1, 2, 1], [0, 1, 0, 0, 1, 0, 0, 1, 0]])
def test_suffix_lengths_compare_each_prefix_with_the_end(text: list[int]) -> None:
    expected = []
    for i in range(len(text) - 1):
        n = 0
        while n <= i and text[i - n] == text[-1 - n]:
            n += 1
        expected.append(n)
    assert suffix_lengths(text).tolist() == expected
