"""Helpers of kernels: typed and lowered by Numba, but neither optimised nor compiled by themselves.

Numba optimises and compiles every function it calls, then again within each caller: five levels of
inlined helpers cost five times. A helper that is always inlined needs only its LLVM text: cold
compilation takes half the time. This reaches into Numba's code generator, so it is used with the
versions it was tried with, and others compile helpers as usual; the machine code of a kernel is the
same.
"""

from __future__ import annotations

from typing import Any

import numba
from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.core.compiler_machinery import FunctionPass, register_pass
from numba.core.typed_passes import NopythonTypeInference

TRIED = ((0, 68),)


class _NoEngine:
    """Stands for the code generator where a function has no machine code to point to."""

    def set_env(self, name: str, env: Any) -> None:
        """Nothing: the caller's library holds the variable."""


class _TextLibrary(JITCodeLibrary):
    codegen = property(lambda self: _NoEngine())

    def _optimize_functions(self, module: Any) -> None:
        module.data_layout = self._codegen._data_layout

    def _optimize_final_module(self) -> None:
        pass

    def _finalize_final_module(self) -> None:
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        self._ensure_finalized()
        return 0


@register_pass(mutates_CFG=False, analysis_only=True)
class _KeepText(FunctionPass):
    _name = "keep_text"

    def __init__(self) -> None:
        FunctionPass.__init__(self)

    def run_pass(self, state: Any) -> bool:
        state.library = _TextLibrary(state.targetctx.codegen(), state.func_id.func_qualname)
        return False


class InlineCompiler(CompilerBase):
    """A pipeline for functions that are inlined always and called from Python never."""

    def define_pipelines(self) -> list[Any]:
        """Numba's own pipeline with one more pass."""
        manager = DefaultPassBuilder.define_nopython_pipeline(self.state)
        manager.add_pass_after(_KeepText, NopythonTypeInference)
        manager.finalize()
        return [manager]


def options() -> dict[str, Any]:
    """What `njit` is told beside `forceinline`: this pipeline, where it has been tried."""
    if tuple(numba.version_info.short) not in TRIED:
        return {}
    wrappers = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}
    return {"pipeline_class": InlineCompiler, **wrappers}
