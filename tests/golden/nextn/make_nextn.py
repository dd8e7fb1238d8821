"""Remake the fixtures of layers that draft tokens ahead: specs, and goldens by llama.cpp.

    pip install llama-cpp-python==0.3.36 gguf numpy
    python make_nextn.py            (writes <name>.json and <name>.npz beside this file)

A spec is one of ../archs with `nextn_predict_layers` layers more, each like the last that attends.
Of NAMES some have a head norm, embeddings and a head of their own, some several layers. The weights
are drawn as ../archs/fixture.py says.

<name>.npz holds `tokens` (48 ids); for each of the layers `logits` [layers, rows, vocabulary] at
positions `rows` of the first 40 tokens, where the layer reads token p and the model's row p - 1
(zeros for position 0); and `draft` [3, vocabulary]: the logits that follow the 40 tokens and
tokens[40] when each further token is the likeliest, by the one layer again and again, or by one
layer after the other, as llama.cpp's common/speculative.cpp goes.
"""

import ctypes
import json
import sys
import tempfile
from pathlib import Path

import llama_cpp as L
import numpy as np

HERE = Path(__file__).parent
ARCHS = HERE.parent / "archs"
sys.path.insert(0, str(ARCHS))

from fixture import SEED, digest, write  # noqa: E402

KNOWN, ROWS, DRAFTS = 40, [0, 1, 2, 15, 31, 32, 39], 3
HEAD, LAYER = "nextn.shared_head_norm", "layer_output_norm"
# MiMo's have queries, keys and values in one matrix and no experts.
# Name: layers, the head norm's name if there is one, and whether embeddings and head are their own.
NAMES = {
    "glm4moe-moe": (1, HEAD, True),
    "qwen35-dense": (1, HEAD, False),
    "qwen35moe-moe": (1, None, False),
    "qwen3next-moe": (1, HEAD, False),
    "deepseek2-moe": (1, HEAD, False),
    "deepseek32-moe": (1, HEAD, True),
    "glm-dsa-moe": (1, HEAD, False),
    "bailingmoe3-moe": (1, LAYER, False),
    "cohere2moe-moe": (1, None, False),
    "hy_v3-moe": (2, HEAD, False),
    "step35-moe": (2, HEAD, True),
    "mimo2-moe": (2, LAYER, False),
}
MTP_CONTEXT = 1
SET_ROWS = "_Z26llama_set_embeddings_nextnP13llama_contextbb"
GET_ROW = "_Z30llama_get_embeddings_nextn_ithP13llama_contexti"
SET_LAYER = "_Z28llama_set_nextn_layer_offsetP13llama_contexti"


def with_nextn(spec: dict, count: int, norm: str | None, own: bool) -> dict:
    """The spec with `count` layers more: one that attends, fed as the last one feeds."""
    kv, tensors = dict(spec["kv"]), list(spec["tensors"])
    prefix = kv["general.architecture"][1]
    blocks = kv[f"{prefix}.block_count"][1]
    if prefix == "glm4moe":
        # llama.cpp's layer ahead does not know sections, which only models with vision have.
        kv.pop("glm4moe.rope.dimension_sections")
    recurrent = {int(name.split(".")[1]) for name, _, _ in tensors if ".ssm_" in name}
    attends, last = max({*range(blocks)} - recurrent), blocks - 1
    kv[f"{prefix}.block_count"] = ["UINT32", blocks + count]
    kv[f"{prefix}.nextn_predict_layers"] = ["UINT32", count]
    for key, value in kv.items():
        per_layer = value[0] == "arr" and len(value[2]) == blocks
        if per_layer and key.startswith(prefix) and "sections" not in key:
            like = attends if ".attention." in key else last
            kv[key] = [*value[:2], [*value[2], *[value[2][like]] * count]]
    layer = [one for one in _parts(tensors, attends) if one[0].startswith("attn_")]
    layer += [one for one in _parts(tensors, last) if not one[0].startswith(("attn_", "ssm_"))]
    layer = _dense(_fused(layer)) if prefix == "mimo2" else layer
    dim, vocabulary = next(shape for name, shape, _ in tensors if name == "token_embd.weight")
    layer.append(["nextn.eh_proj.weight", [2 * dim, dim], "F32"])
    norms = ("nextn.enorm", "nextn.hnorm", *([norm] if norm else []))
    layer += [[f"{name}.weight", [dim], "F32"] for name in norms]
    both = ("embed_tokens", "shared_head_head") if own else ()
    layer += [[f"nextn.{name}.weight", [dim, vocabulary], "F32"] for name in both]
    for i in range(blocks, blocks + count):
        tensors += [[f"blk.{i}.{name}", shape, kind] for name, shape, kind in layer]
    made = {"name": spec["name"], "weights_sha256": "", "kv": kv, "tensors": tensors}
    made["weights_sha256"] = digest(made)
    return made


def _parts(tensors: list, index: int) -> list:
    """One layer's tensors, without `blk.N.`."""
    front = f"blk.{index}."
    found = [one for one in tensors if one[0].startswith(front)]
    return [[name.removeprefix(front), shape, kind] for name, shape, kind in found]


def _fused(layer: list) -> list:
    """Queries, keys and values as one matrix."""
    apart = [f"attn_{part}" for part in "qkv"]
    rows = sum(shape[1] for name, shape, _ in layer if name.removesuffix(".weight") in apart)
    rest = [one for one in layer if one[0].split(".")[0] not in apart]
    width = next(shape[0] for name, shape, _ in layer if name == "attn_q.weight")
    return [["attn_qkv.weight", [width, rows], "F32"], *rest]


def _dense(layer: list) -> list:
    """Without experts."""
    routed = ("ffn_gate_inp", "exp_probs_b")
    return [one for one in layer if "_exps" not in one[0] and not one[0].startswith(routed)]


def function(name: str, result, *arguments):
    found = getattr(L.llama_cpp._lib, name)
    found.restype, found.argtypes = result, list(arguments)
    return found


class Llama:
    """The model and its layers ahead, as two contexts of llama.cpp."""

    def __init__(self, path: str) -> None:
        L.llama_backend_init()
        params = L.llama_model_default_params()
        params.load_mtp = True
        self.model = L.llama_model_load_from_file(path.encode(), params)
        self.dim = L.llama_model_n_embd_out(self.model)
        self.vocabulary = L.llama_vocab_n_tokens(L.llama_model_get_vocab(self.model))
        self.main, self.ahead = self._context(0), self._context(MTP_CONTEXT)
        set_rows = function(SET_ROWS, None, ctypes.c_void_p, ctypes.c_bool, ctypes.c_bool)
        set_rows(self.main, True, False)
        set_rows(self.ahead, True, True)
        self._row = function(
            GET_ROW, ctypes.POINTER(ctypes.c_float), ctypes.c_void_p, ctypes.c_int32
        )

    def _context(self, kind: int) -> object:
        params = L.llama_context_default_params()
        params.n_ctx = params.n_batch = params.n_ubatch = 256
        params.n_threads = params.n_threads_batch = 1
        params.type_k = params.type_v = 0  # F32
        params.flash_attn_type = 0
        params.ctx_type = kind
        return L.llama_init_from_model(self.model, params)

    def run(self, context, ids, start, rows=None):
        """Logits and hidden rows of all tokens; `rows` go with them to a layer ahead."""
        batch = L.llama_batch_ext_init(context)
        kept = []
        for i, token in enumerate(ids):
            at = L.llama_batch_ext_add_token(batch, 0, int(token))
            place = (ctypes.c_int32 * 1)(start + i)
            kept.append(place)
            L.llama_batch_ext_set_pos(batch, at, place)
            L.llama_batch_ext_set_output_logits(batch, at, True)
            if rows is not None:
                row = np.ascontiguousarray(rows[i], np.float32)
                kept.append(row)
                data = row.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
                # The setter that is named for states does nothing yet.
                if not L.llama_batch_ext_set_embd_token(batch, at, L.llama_embd(data, 1, self.dim)):
                    raise SystemExit("llama_batch_ext_set_embd_token failed")
        if L.llama_process(context, 1, batch):
            raise SystemExit("llama_process failed")
        found = range(len(ids))
        logits = [self._copy(L.llama_get_logits_ith(context, i), self.vocabulary) for i in found]
        hidden = [self._copy(self._row(context, i), self.dim) for i in found]
        return np.stack(logits), np.stack(hidden)

    def _copy(self, pointer, count):
        return np.ctypeslib.as_array(pointer, (count,)).copy()

    def choose_layer(self, layer: int) -> None:
        function(SET_LAYER, None, ctypes.c_void_p, ctypes.c_int32)(self.ahead, layer)

    def forget(self, position: int) -> None:
        L.llama_memory_seq_rm(L.llama_get_memory(self.ahead), 0, position, -1)


def golden(path: str, tokens: list[int], layers: int):
    """Logits of each layer at ROWS, and those of the drafts."""
    llama = Llama(path)
    _, hidden = llama.run(llama.main, tokens[:KNOWN], 0)
    before = np.concatenate([np.zeros((1, llama.dim), np.float32), hidden])
    logits = []
    for layer in range(layers):
        llama.choose_layer(layer)
        llama.forget(0)
        logits.append(llama.run(llama.ahead, tokens[:KNOWN], 0, before[:KNOWN])[0][ROWS])
    ids, rows, draft = [tokens[KNOWN]], [hidden[-1]], []
    for step in range(DRAFTS if layers == 1 else layers):
        if layers > 1:
            # Each layer has keys of its own, which all of the tokens have to be given to.
            llama.choose_layer(step)
            llama.forget(0)
            llama.run(llama.ahead, tokens[:KNOWN], 0, before[:KNOWN])
            found, out = llama.run(llama.ahead, ids, KNOWN, rows)
        else:
            found, out = llama.run(llama.ahead, ids[-1:], KNOWN + step, rows[-1:])
        draft.append(found[-1])
        ids.append(int(found[-1].argmax()))
        rows.append(out[-1])
    return np.stack(logits), np.stack(draft)


if __name__ == "__main__":
    for name, (layers, norm, own) in NAMES.items():
        if len(sys.argv) > 1 and name not in sys.argv[1:]:
            continue
        spec = with_nextn(json.loads((ARCHS / f"{name}.json").read_text()), layers, norm, own)
        (HERE / f"{name}.json").write_text(json.dumps(spec) + "\n")
        shapes = {tensor: shape for tensor, shape, _ in spec["tensors"]}
        count = min(shapes["token_embd.weight"][1], 128)
        drawn = np.random.Generator(np.random.PCG64(SEED)).integers(0, count, 48)
        with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
            write(spec, file.name)
            logits, draft = golden(file.name, drawn.tolist(), layers)
        arrays = {"tokens": drawn.astype(np.int32), "rows": np.array(ROWS, np.int32)}
        np.savez_compressed(HERE / f"{name}.npz", logits=logits, draft=draft, **arrays)
