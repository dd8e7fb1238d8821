import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from gnomon.formats.errors import GGUFError
from gnomon.formats.gguf import open_gguf

FIRST = "m-00001-of-00003.gguf"


def part(
    raw: Any, number: object, count: object, names: Sequence[str], total: int | None = None
) -> bytes:
    """One part: split keys (None leaves one out) and f32[8] tensors filled with their place."""
    kvs = [raw.number("part", "u8", 7)]
    if number is not None:
        kvs.append(raw.number("split.no", "u16", number))
    if count is not None:
        kvs.append(raw.number("split.count", "u16", count))
    if total is not None:
        kvs.append(raw.number("split.tensors.count", "i32", total))
    tensors = [raw.tensor(name, offset=32 * i) for i, name in enumerate(names)]
    data = b"".join(bytes([ord(name[0])]) * 32 for name in names)
    made: bytes = raw.file(kvs, tensors, data)
    return made


@pytest.fixture
def model(raw: Any, tmp_path: Path) -> Path:
    """Three parts with tensors a; b and c; d."""
    for index, names in enumerate(["a", "bc", "d"]):
        path = tmp_path / f"m-{index + 1:05d}-of-00003.gguf"
        path.write_bytes(part(raw, index, 3, names, 4))
    return tmp_path / FIRST


def refusal(path: Path) -> GGUFError:
    with pytest.raises(GGUFError) as caught:
        open_gguf(path)
    return caught.value


def test_tensors_of_all_parts_are_there_in_order(model: Path) -> None:
    with open_gguf(model) as file:
        firsts = {name: chr(tensor.data[0]) for name, tensor in file.tensors.items()}
    assert list(firsts.items()) == [("a", "a"), ("b", "b"), ("c", "c"), ("d", "d")]


def test_the_metadata_are_those_of_the_first_part(model: Path) -> None:
    with open_gguf(model) as file:
        assert file.metadata.integer("split.no") == 0


def test_paths_and_size_count_every_part(model: Path) -> None:
    with open_gguf(model) as file:
        assert [path.name for path in file.paths] == [
            f"m-{number:05d}-of-00003.gguf" for number in (1, 2, 3)
        ]
        assert file.size_bytes == sum(path.stat().st_size for path in file.paths)


def test_a_split_by_the_gguf_package_loads(tmp_path: Path) -> None:
    writer = gguf.GGUFWriter(tmp_path / "big.gguf", "llama", split_max_tensors=2)
    arrays = {f"t{i}": np.full(4, i, np.float32) for i in range(5)}
    for name, array in arrays.items():
        writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    with open_gguf(tmp_path / "big-00001-of-00003.gguf") as file:
        found = {name: t.data.view(np.float32).tolist() for name, t in file.tensors.items()}
        assert found == {name: array.tolist() for name, array in arrays.items()}


def test_the_first_part_may_hold_metadata_alone(raw: Any, tmp_path: Path) -> None:
    for index, names in enumerate(["", "ab"]):
        path = tmp_path / f"m-{index + 1:05d}-of-00002.gguf"
        path.write_bytes(part(raw, index, 2, names, 2))
    with open_gguf(tmp_path / "m-00001-of-00002.gguf") as file:
        assert list(file.tensors) == ["a", "b"]


def test_parts_of_links_are_found_beside_the_link(model: Path, tmp_path: Path) -> None:
    links = tmp_path / "snapshot"
    links.mkdir()
    for index, path in enumerate(sorted(tmp_path.glob("m-*.gguf"))):
        blob = path.rename(tmp_path / f"blob{index}")
        (links / path.name).symlink_to(blob)
    with open_gguf(links / FIRST) as file:
        assert list(file.tensors) == ["a", "b", "c", "d"]


def test_a_split_of_one_part_may_have_any_name(raw: Any, tmp_path: Path) -> None:
    (tmp_path / "model.gguf").write_bytes(part(raw, 0, 1, "a", 1))
    with open_gguf(tmp_path / "model.gguf") as file:
        assert list(file.tensors) == ["a"]


def test_a_missing_part_is_refused_by_its_name(model: Path) -> None:
    model.with_name("m-00002-of-00003.gguf").unlink()
    assert "1 of 3 parts missing, first 'm-00002-of-00003.gguf'" in str(refusal(model))


def test_a_later_part_names_the_first(model: Path) -> None:
    error = refusal(model.with_name("m-00002-of-00003.gguf"))
    assert error.expected == f"the first part, {FIRST}"


def test_a_renamed_first_part_is_refused(model: Path) -> None:
    error = refusal(model.rename(model.with_name("model.gguf")))
    assert (error.field, error.found) == ("file name", "'model.gguf'")


@pytest.mark.parametrize("count", [None, 0, 1, 2, 4, 65535])
def test_a_count_other_than_the_names_is_refused(count: int | None, raw: Any, model: Path) -> None:
    model.write_bytes(part(raw, 0, count, "a", 4))
    assert refusal(model).field == "split.count"


@pytest.mark.parametrize("count", [None, 1, 2, 4])
def test_a_part_with_another_count_is_refused(count: int | None, raw: Any, model: Path) -> None:
    second = model.with_name("m-00002-of-00003.gguf")
    second.write_bytes(part(raw, 1, count, "bc", 4))
    error = refusal(model)
    assert (error.field, error.path) == ("split.count", str(second))


@pytest.mark.parametrize("number", [None, 0, 2, 65535])
def test_a_part_in_the_place_of_another_is_refused(
    number: int | None, raw: Any, model: Path
) -> None:
    second = model.with_name("m-00002-of-00003.gguf")
    second.write_bytes(part(raw, number, 3, "bc", 4))
    error = refusal(model)
    assert (error.field, error.path) == ("split.no", str(second))


def test_a_first_part_that_says_it_is_another_is_refused(raw: Any, model: Path) -> None:
    model.write_bytes(part(raw, 1, 3, "a", 4))
    assert refusal(model).field == "split.no"


def test_a_tensor_in_two_parts_is_refused(raw: Any, model: Path) -> None:
    third = model.with_name("m-00003-of-00003.gguf")
    third.write_bytes(part(raw, 2, 3, "a", 4))
    error = refusal(model)
    assert (error.field, error.path) == ("tensor 'a' name", str(third))


@pytest.mark.parametrize("total", [-1, 0, 3, 5])
def test_another_number_of_tensors_than_stated_is_refused(
    total: int, raw: Any, model: Path
) -> None:
    model.write_bytes(part(raw, 0, 3, "a", total))
    assert refusal(model).field == "split.tensors.count"


def test_a_broken_later_part_is_named(model: Path) -> None:
    third = model.with_name("m-00003-of-00003.gguf")
    third.write_bytes(third.read_bytes()[:-1])
    assert refusal(model).path == str(third)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no FIFOs here")
def test_a_fifo_as_later_part_is_refused(model: Path) -> None:
    second = model.with_name("m-00002-of-00003.gguf")
    second.unlink()
    os.mkfifo(second)
    assert refusal(model).found == "a FIFO"


def test_a_split_count_that_is_a_path_is_refused(raw: Any, tmp_path: Path) -> None:
    kv = raw.kv("split.count", "string", raw.string("../../etc/passwd"))
    (tmp_path / "m-00001-of-00002.gguf").write_bytes(raw.file([kv]))
    assert refusal(tmp_path / "m-00001-of-00002.gguf").field == "split.count"


def test_dots_in_the_name_do_not_leave_the_folder(raw: Any, tmp_path: Path) -> None:
    inner = tmp_path / "inner"
    inner.mkdir()
    for index, names in enumerate("ab"):
        (inner / f"..-{index + 1:05d}-of-00002.gguf").write_bytes(part(raw, index, 2, names))
    with open_gguf(inner / "..-00001-of-00002.gguf") as file:
        assert {path.parent for path in file.paths} == {inner}
