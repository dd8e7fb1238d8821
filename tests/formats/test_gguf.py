import os
import pickle
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from gnomon.formats.errors import GGUFError
from gnomon.formats.ggml_types import GGML
from gnomon.formats.gguf import GGUFFile, open_gguf

ENDIAN = {"little": gguf.GGUFEndian.LITTLE, "big": gguf.GGUFEndian.BIG}
BYTE_ORDERS = pytest.mark.parametrize("byte_order", ["little", "big"])

V = gguf.GGUFValueType
SCALARS: dict[str, tuple[object, gguf.GGUFValueType]] = {
    "u8": (255, V.UINT8),
    "i8": (-128, V.INT8),
    "u16": (65535, V.UINT16),
    "i16": (-32768, V.INT16),
    "u32": (2**32 - 1, V.UINT32),
    "i32": (-(2**31), V.INT32),
    "u64": (2**64 - 1, V.UINT64),
    "i64": (-(2**63), V.INT64),
    "f32": (0.15625, V.FLOAT32),
    "f64": (0.1, V.FLOAT64),
    "true": (True, V.BOOL),
    "false": (False, V.BOOL),
    "string": ("Grüße, 世界 \x00 🦙", V.STRING),
    "empty": ("", V.STRING),
}
ARRAYS: dict[str, tuple[list[Any], gguf.GGUFValueType, str]] = {
    "u8s": ([0, 255], V.UINT8, "uint8"),
    "i8s": ([-128, 127], V.INT8, "int8"),
    "u16s": ([0, 65535], V.UINT16, "uint16"),
    "i16s": ([-32768, 1], V.INT16, "int16"),
    "u32s": ([1, 2**32 - 1], V.UINT32, "uint32"),
    "i32s": ([-(2**31), 3], V.INT32, "int32"),
    "u64s": ([2**64 - 1, 4], V.UINT64, "uint64"),
    "i64s": ([-(2**63), 5], V.INT64, "int64"),
    "f32s": ([0.15625, -2.0], V.FLOAT32, "float32"),
    "f64s": ([0.1, -1e300], V.FLOAT64, "float64"),
    "bools": ([True, False, True], V.BOOL, "bool"),
}
TENSORS: dict[str, np.ndarray] = {
    "output.weight": np.arange(24, dtype=np.float32).reshape(2, 3, 4),
    "output_norm.weight": np.arange(5, dtype=np.float16),
    "ids": np.array([[1, -2]], np.int32),
    "doubles": np.array([0.1], np.float64),
}


def write(path: Path, byte_order: str) -> Path:
    """Every value type and four tensors, by the gguf package."""
    writer = gguf.GGUFWriter(path, "llama", endianess=ENDIAN[byte_order])
    for key, (value, kind) in SCALARS.items():
        writer.add_key_value(key, value, kind)
    for key, (values, kind, _) in ARRAYS.items():
        writer.add_key_value(key, values, V.ARRAY, kind)
    writer.add_array("strings", ["", "a", "世界"])
    for name, array in TENSORS.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


@pytest.fixture(scope="module", params=["little", "big"])
def written(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = tmp_path_factory.mktemp("written") / "model.gguf"
    return open_gguf(write(path, request.param))


@pytest.mark.parametrize("key", SCALARS)
def test_a_scalar_is_read_as_the_gguf_package_wrote_it(written: GGUFFile, key: str) -> None:
    value, _ = SCALARS[key]
    assert (type(written.metadata[key]), written.metadata[key]) == (type(value), value)


@pytest.mark.parametrize("key", ARRAYS)
def test_a_numeric_array_becomes_a_native_numpy_array(written: GGUFFile, key: str) -> None:
    values, _, dtype = ARRAYS[key]
    found = written.metadata[key]
    assert isinstance(found, np.ndarray)
    assert (found.dtype, found.dtype.isnative, found.tolist()) == (dtype, True, values)


def test_a_string_array_becomes_a_list_of_str(written: GGUFFile) -> None:
    assert written.metadata["strings"] == ["", "a", "世界"]


def test_arrays_are_read_only(written: GGUFFile) -> None:
    arrays = [v for v in written.metadata.values() if isinstance(v, np.ndarray)]
    assert len(arrays) == len(ARRAYS)
    assert not any(array.flags.writeable for array in arrays)


def test_all_keys_and_only_they_are_there_in_file_order(written: GGUFFile) -> None:
    assert list(written.metadata) == ["general.architecture", *SCALARS, *ARRAYS, "strings"]


@pytest.mark.parametrize("name", TENSORS)
def test_a_tensor_has_the_shape_and_values_written(written: GGUFFile, name: str) -> None:
    tensor = written.tensors[name]
    array = TENSORS[name]
    stored = array.dtype.newbyteorder("<" if tensor.byte_order == "little" else ">")
    assert tensor.shape == array.shape
    assert tensor.data.view(stored).tolist() == array.ravel().tolist()


def test_tensors_are_in_file_order(written: GGUFFile) -> None:
    assert list(written.tensors) == list(TENSORS)


@BYTE_ORDERS
def test_the_byte_order_is_the_files(byte_order: str, tmp_path: Path) -> None:
    with open_gguf(write(tmp_path / "model.gguf", byte_order)) as file:
        assert {tensor.byte_order for tensor in file.tensors.values()} == {byte_order}


@BYTE_ORDERS
def test_tensor_bytes_are_those_the_gguf_package_reads(byte_order: str, tmp_path: Path) -> None:
    path = write(tmp_path / "model.gguf", byte_order)
    with open_gguf(path) as file:
        for theirs in gguf.GGUFReader(path).tensors:
            assert file.tensors[theirs.name].data.tobytes() == theirs.data.tobytes()


@pytest.mark.parametrize("version", [2, 3])
@BYTE_ORDERS
def test_both_versions_load_in_both_byte_orders(
    version: int, byte_order: str, raw: Any, raw_big: Any, tmp_path: Path
) -> None:
    build = raw if byte_order == "little" else raw_big
    path = tmp_path / "model.gguf"
    path.write_bytes(build.file([build.number("n", "i16", -2)], version=version))
    with open_gguf(path) as file:
        assert (file.version, file.metadata["n"]) == (version, -2)


@pytest.mark.parametrize("block", GGML.values(), ids=lambda block: block.name)
def test_every_tensor_type_takes_its_bytes(block: Any, raw: Any, tmp_path: Path) -> None:
    data = bytes(range(256)) * 7
    n_bytes = 6 * block.bytes
    tensor = raw.tensor("t", (2 * block.elements, 3), block.id)
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([], [tensor], data[:n_bytes]))
    with open_gguf(path) as file:
        found = file.tensors["t"]
        assert (found.type, found.shape) == (block, (3, 2 * block.elements))
        assert found.data.tobytes() == data[:n_bytes]


def test_tensor_data_is_a_read_only_view_of_the_map(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([], [raw.tensor(), raw.tensor("u", offset=32)], bytes(64)))
    with open_gguf(path) as file:
        first, second = (tensor.data for tensor in file.tensors.values())
        assert not first.flags.owndata
        assert not first.flags.writeable
        assert second.ctypes.data - first.ctypes.data == 32


def test_a_view_outlives_close(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([], [raw.tensor()], bytes(range(32))))
    file = open_gguf(path)
    data = file.tensors["t"].data
    file.close()
    assert data.tolist() == list(range(32))


def test_close_drops_the_tensors_and_may_be_called_again(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([], [raw.tensor()], bytes(32)))
    file = open_gguf(path)
    file.close()
    file.close()
    assert file.tensors == {}


def test_size_and_paths_are_those_of_the_file(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([], [raw.tensor()], bytes(32)))
    with open_gguf(str(path)) as file:
        assert (file.path, file.paths) == (path, [path])
        assert file.size_bytes == path.stat().st_size


def test_a_file_left_alone_is_unchanged(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([], [raw.tensor()], bytes(32)))
    with open_gguf(path) as file:
        file.check_unchanged()


def test_a_file_shrunk_after_opening_is_noticed(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([], [raw.tensor()], bytes(32)))
    with open_gguf(path) as file:
        os.truncate(path, 10)
        with pytest.raises(GGUFError, match="size and time") as caught:
            file.check_unchanged()
    assert caught.value.path == str(path)


def test_a_file_removed_after_opening_is_noticed(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file())
    with open_gguf(path) as file:
        path.unlink()
        with pytest.raises(GGUFError, match="No such file"):
            file.check_unchanged()


def test_a_whole_file_has_no_notes(raw: Any, tmp_path: Path) -> None:
    path = tmp_path / "model.gguf"
    path.write_bytes(raw.file([], [raw.tensor()], bytes(32)))
    with open_gguf(path) as file:
        assert file.notes == []


def test_an_error_survives_pickling() -> None:
    error = GGUFError("version", 4, "1", "2 or 3, in either byte order")
    error.path = "model.gguf"
    assert str(pickle.loads(pickle.dumps(error))) == (
        "model.gguf: version at byte 4: found 1, expected 2 or 3, in either byte order"
    )


def test_smollm2_has_its_vocabulary_and_tensors(smollm2_path: Path) -> None:
    with open_gguf(smollm2_path) as file:
        tokens = file.metadata.strings("tokenizer.ggml.tokens")
        merges = file.metadata.strings("tokenizer.ggml.merges")
        embedding = file.tensors["token_embd.weight"]
        assert (len(tokens), len(merges), len(file.tensors)) == (49152, 48900, 272)
        assert (tokens[1], tokens[-1], merges[-1]) == ("<|im_start|>", "ectable", "ect able")
        assert (embedding.type.name, embedding.shape) == ("q8_0", (49152, 576))


def test_gemma_has_its_vocabulary_and_tensors(gemma_path: Path) -> None:
    with open_gguf(gemma_path) as file:
        tokens = file.metadata.strings("tokenizer.ggml.tokens")
        scores = file.metadata.numbers("tokenizer.ggml.scores")
        assert (len(tokens), len(scores), len(file.tensors)) == (262144, 262144, 236)
        assert (tokens[2], tokens[-1]) == ("<bos>", "<unused6241>")
