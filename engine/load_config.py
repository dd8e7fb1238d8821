"""LoadConfig: the numbers and choices a model is opened with, all checked, defaults filled in."""

from __future__ import annotations

from typing import Literal

import msgspec

Compute = Literal["int8", "float32", "float64"]
CACHE_TYPES = ("f32", "f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "iq4_nl")
DEFAULT_CONTEXT = 4096
MAX_THREADS = 256  # the team's, which is not imported before there is a model to load


class LoadConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What `Model.open` needs to know; `None` leaves the choice to the file or the machine.

    Callers of the public API write a dict; `api.config.parse_load_config` checks it and makes this.
    """

    context_length: int | None = None
    eval_batch_size: int = 512
    rope_frequency_base: float | None = None
    rope_frequency_scale: float | None = None
    seed: int | None = None
    try_mmap: bool = True
    num_experts: int | None = None
    cpu_threads: int | None = None
    compute: Compute = "int8"
    llama_k_cache_quantization_type: str | None = None
    llama_v_cache_quantization_type: str | None = None
    use_fp16_for_kv_cache: bool | None = None
    # Layers that draft tokens ahead: loaded if the file has any, or must be there, or are left out.
    multi_token_prediction: bool | None = None

    def context_for(self, trained: int) -> int:
        """The positions to hold, for a file trained on `trained`: the caller's, or up to 4096."""
        return self.context_length or min(DEFAULT_CONTEXT, trained)

    def sizes(self) -> str:
        """The keys that memory is laid out by, for an error: it was too little."""
        context = self.context_length or f"up to {DEFAULT_CONTEXT}"
        return f"contextLength {context}, evalBatchSize {self.eval_batch_size}"

    def cache_types(self) -> tuple[str, str]:
        """Names of the types that keys and values are stored in.

        float64 mode always stores float64; else the caller's type, else `use_fp16_for_kv_cache`,
        else f16 in int8 mode and f32 in float32 mode.
        """
        if self.compute == "float64":
            return "f64", "f64"
        half = self.compute == "int8"
        if self.use_fp16_for_kv_cache is not None:
            half = self.use_fp16_for_kv_cache
        default = "f16" if half else "f32"
        return (
            self.llama_k_cache_quantization_type or default,
            self.llama_v_cache_quantization_type or default,
        )
