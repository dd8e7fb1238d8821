"""Kept tiles: what was written comes back; what others made, or is broken, does not."""

import json
from pathlib import Path

import numpy as np
import pytest

from gnomon.formats.ggml_types import BY_NAME
from gnomon.formats.gguf import TensorInfo
from gnomon.kernels.quants.random_blocks import random_blocks
from gnomon.kernels.tiles import kept
from gnomon.kernels.tiles.kept import kept_path, read_kept, write_kept
from gnomon.kernels.tiles.load import load_tiles

STAMPS = {Path("/models/a.gguf"): (1000, 5)}


@pytest.fixture
def tiles(rng):
    sizes = {"first": 100, "empty": 0, "last": 4096}
    return {name: ("q4_0", rng.integers(0, 256, n).astype(np.uint8)) for name, n in sizes.items()}


@pytest.fixture
def path(tmp_path, tiles):
    path = tmp_path / "new folder" / "a.tiles"
    write_kept(path, STAMPS, tiles)
    return path


def test_what_was_written_comes_back(path, tiles):
    found = read_kept(path, STAMPS)
    assert {name: (form, data.tobytes()) for name, (form, data) in found.items()} == {
        name: (form, data.tobytes()) for name, (form, data) in tiles.items()
    }


def test_the_size_written_is_the_files(tmp_path, tiles):
    size = write_kept(tmp_path / "a.tiles", STAMPS, tiles)
    assert (tmp_path / "a.tiles").stat().st_size == size


def test_tiles_start_at_multiples_of_64(path):
    addresses = [data.ctypes.data for _, data in read_kept(path, STAMPS).values()]
    assert all(address % 64 == 0 for address in addresses)


@pytest.mark.parametrize(
    "stamps",
    [
        {},
        {Path("/models/a.gguf"): (1001, 5)},
        {Path("/models/a.gguf"): (1000, 6)},
        {Path("/models/b.gguf"): (1000, 5)},
        STAMPS | {Path("/models/b.gguf"): (1, 1)},
    ],
)
def test_another_models_tiles_are_not_used(path, stamps):
    assert read_kept(path, stamps) == {}


def test_tiles_of_other_kernels_are_not_used(path, monkeypatch):
    monkeypatch.setattr(kept, "source_digest", lambda: "other")
    assert read_kept(path, STAMPS) == {}


def test_a_missing_file_holds_nothing(tmp_path):
    assert read_kept(tmp_path / "none.tiles", STAMPS) == {}


@pytest.mark.parametrize("length", [0, 7, 15, 40, 300, -1, -4096])
def test_a_file_cut_short_is_not_used(path, length):
    whole = path.read_bytes()
    path.write_bytes(whole[:length])
    assert read_kept(path, STAMPS) == {}


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"gnomtile", b"gnomtale"),
        (b'"q4_0", 0, 100]', b'"q4_0",-1, 100]'),
        (b'"q4_0", 0, 100]', b'"q4_0", 0,-100]'),
        (b'"q4_0", 0, 100]', b'"q4_0", 0, 1e3]'),
        (b'"q4_0", 0, 100]', b'"q4_0", 9999,9]'),
        (b'"tiles"', b'"title"'),
        (b"{", b"["),
    ],
)
def test_a_broken_header_is_not_used(path, old, new):
    whole = path.read_bytes()
    assert old in whole
    path.write_bytes(whole.replace(old, new, 1))
    assert read_kept(path, STAMPS) == {}


@pytest.mark.parametrize("tiles_header", ["[]", "7", '{"w": 7}', '{"w": []}', "[" * 10**5])
def test_a_header_of_another_form_is_not_used(path, tiles_header):
    made = json.dumps(kept._made(STAMPS))
    header = f'{{"made": {made}, "tiles": {tiles_header}}}'.encode()
    path.write_bytes(kept.MAGIC + len(header).to_bytes(8, "little") + header.ljust(4096, b" "))
    assert read_kept(path, STAMPS) == {}


def test_tiles_that_are_not_used_are_not_mapped(path, monkeypatch):
    monkeypatch.setattr(kept, "_map", lambda descriptor: pytest.fail("mapped"))
    assert read_kept(path, {}) == {}


def test_a_huge_header_is_not_read(path):
    whole = path.read_bytes()
    path.write_bytes(whole[:8] + (1 << 62).to_bytes(8, "little") + whole[16:])
    assert read_kept(path, STAMPS) == {}


def test_a_failed_write_leaves_what_was_there(path, tiles):
    broken = tiles | {"more": ("q4_0", SimpleFailure())}
    with pytest.raises(RuntimeError):
        write_kept(path, STAMPS, broken)
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    assert read_kept(path, STAMPS).keys() == tiles.keys()


class SimpleFailure:
    nbytes = 64

    @property
    def data(self):
        raise RuntimeError("no bytes")


def test_each_model_has_a_path_of_its_own(tmp_path):
    assert kept_path(tmp_path / "a.gguf") == kept_path(tmp_path / "b" / ".." / "a.gguf")
    assert kept_path(tmp_path / "a.gguf") != kept_path(tmp_path / "b.gguf")


def make_tensor():
    blocks = random_blocks(BY_NAME["q4_0"], 35 * 64 // 32, np.random.default_rng(1))
    return TensorInfo("w", BY_NAME["q4_0"], (35, 64), blocks.reshape(-1), "little")


def test_a_kept_tensor_is_not_packed_again():
    packed = load_tiles(make_tensor(), 1)
    loaded = load_tiles(make_tensor(), 1, {"w": ("q4_0", packed.data)})
    assert loaded.data is packed.data


@pytest.mark.parametrize(("form", "size"), [("q4_1", 1728), ("q4_0", 1727), ("q4_0", 2000)])
def test_kept_tiles_that_do_not_fit_are_not_used(form, size):
    wrong = np.zeros(size, np.uint8)
    loaded = load_tiles(make_tensor(), 1, {"w": (form, wrong)})
    assert loaded.data.tobytes() == load_tiles(make_tensor(), 1).data.tobytes()


@pytest.fixture
def model(tmp_path, tiles):
    """A model whose tiles are kept, and their path."""
    model, kept = tmp_path / "models" / "b.gguf", tmp_path / "tiles" / "b.tiles"
    model.parent.mkdir()
    model.write_bytes(b"GGUF")
    status = model.stat()
    write_kept(kept, {model: (status.st_size, status.st_mtime_ns)}, tiles)
    return model, kept


def write_another(kept, tiles):
    write_kept(kept.with_name("a.tiles"), STAMPS, tiles)


def test_tiles_of_a_model_that_is_there_stay(model, tiles):
    write_another(model[1], tiles)
    assert model[1].exists()


@pytest.mark.parametrize("change", [Path.unlink, lambda path: path.write_bytes(b"GGUF, changed")])
def test_tiles_of_a_model_that_is_gone_or_changed_are_deleted(model, tiles, change):
    change(model[0])
    write_another(model[1], tiles)
    assert not model[1].exists()


def test_tiles_of_a_model_on_a_disk_that_is_not_there_stay(model, tiles):
    model[0].unlink()
    model[0].parent.rmdir()
    write_another(model[1], tiles)
    assert model[1].exists()


def test_a_broken_file_beside_is_left_alone(model, tiles):
    model[1].write_bytes(b"no tiles")
    write_another(model[1], tiles)
    assert model[1].read_bytes() == b"no tiles"
