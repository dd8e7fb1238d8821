import gguf
import pytest

from gnomon.formats.ggml_types import BY_NAME, GGML, REMOVED, Block

# ggml's block_q8_1 has f16 d and s since 2024; the gguf package still counts two f32.
GGUF_PACKAGE_IS_WRONG = {"q8_1"}
KNOWN_TO_GGUF = [
    (kind, sizes)
    for kind, sizes in gguf.GGML_QUANT_SIZES.items()
    if kind.name.lower() not in GGUF_PACKAGE_IS_WRONG
]


@pytest.mark.parametrize(("kind", "sizes"), KNOWN_TO_GGUF, ids=lambda value: str(value))
def test_a_type_has_the_id_and_sizes_of_the_gguf_package(
    kind: gguf.GGMLQuantizationType, sizes: tuple[int, int]
) -> None:
    assert GGML[kind.value] == Block(kind.value, kind.name.lower(), *sizes)


@pytest.mark.parametrize(
    "block", [Block(9, "q8_1", 32, 36), Block(42, "q2_0", 64, 18)], ids=lambda block: block.name
)
def test_a_type_the_gguf_package_lacks_has_the_sizes_of_ggml(block: Block) -> None:
    assert GGML[block.id] == block


def test_there_are_8_plain_and_27_quantised_types() -> None:
    plain = [block for block in GGML.values() if block.elements == 1]
    assert (len(plain), len(GGML)) == (8, 35)


def test_live_and_removed_ids_fill_0_to_42() -> None:
    assert sorted([*GGML, *REMOVED]) == list(range(43))


def test_every_type_is_found_by_its_name() -> None:
    assert {block.name: block for block in GGML.values()} == BY_NAME
