"""Machine code of the kernels that runs without Numba: found, linked by LLVM, called from Python.

Numba's own way to a compiled kernel, its import and its tables for lowering, costs each process
0.5 s of CPU and 60 MB; linking all kernels here takes 15 ms. `_export.py` writes the file, one for
all kernels, and proves it in a process of its own before it gets its name. The code is called
through the wrappers that Numba compiled beside it, with three of Numba's extension modules, which
are loaded by themselves. All that the code was made for is in the name of the file: where no file
has that name, `find` gives None and Numba does its work as ever.

What a kernel is called with is checked before (`_arguments.py`).
"""

import ctypes
import hashlib
import json
import os
import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES, PathFinder
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import numpy as np

from rnts.kernels._arguments import checked

_EXTENSIONS = ("numba._helperlib", "numba._dynfunc", "numba.core.runtime._nrt_python")

_is_preferred = False


def prefer_objects() -> None:
    """Have this process, which compiles nothing, load ready code; to be called before kernels."""
    global _is_preferred
    _is_preferred = True


def is_preferred() -> bool:
    """Whether ready code is to be used: asked for, and nobody has asked Numba for anything."""
    return _is_preferred and not any(name.startswith("NUMBA_") for name in os.environ)


def find(folder: Path) -> "Objects | None":
    """The kernels in the file of `folder` that is for this process; None where it has none."""
    try:
        return read(path_in(folder))
    except (OSError, ImportError, AttributeError, LookupError, RuntimeError, ValueError):
        return None


def read(path: Path) -> "Objects":
    """The kernels in a file for this process; raises ValueError where it is damaged."""
    digest, _, content = path.read_bytes().partition(b"\n")
    if digest.decode("ascii", "replace") != hashlib.sha256(content).hexdigest():
        raise ValueError(f"{path} is damaged")
    directory, _, code = content.partition(b"\n")
    return Objects(json.loads(directory), code)


def path_in(folder: Path) -> Path:
    """The file for this process: its name tells all that must be as it was when it was made.

    Raises ImportError or OSError where Numba or LLVM are not as expected.
    """
    import llvmlite
    from llvmlite import binding

    features = binding.get_host_cpu_features().flatten()
    processor = [binding.get_process_triple(), binding.get_host_cpu_name(), features]
    versions = [sys.version, np.__version__, llvmlite.__version__]
    digest = hashlib.sha256("\n".join([*versions, *processor]).encode())
    for extension in _extensions():
        digest.update(extension.read_bytes())
    return folder / f"objects-{digest.hexdigest()[:16]}"


def _extensions() -> list[Path]:
    """The files of Numba's extension modules that compiled code calls into."""
    spec = PathFinder.find_spec("numba")
    if spec is None or spec.origin is None:
        raise ImportError("Numba is not there")
    bases = [Path(spec.origin).parent.joinpath(*name.split(".")[1:]) for name in _EXTENSIONS]
    files = [Path(f"{base}{suffix}") for base in bases for suffix in EXTENSION_SUFFIXES]
    found = [path for path in files if path.exists()]
    if len(found) != len(_EXTENSIONS):
        raise ImportError("Numba has other extension modules than expected")
    return found


def _load_extensions() -> list[Any]:
    """The extension modules themselves; the package around them is not imported."""
    modules = []
    for name, path in zip(_EXTENSIONS, _extensions(), strict=True):
        spec = spec_from_file_location(name, path)
        assert spec is not None and spec.loader is not None
        module = module_from_spec(spec)
        spec.loader.exec_module(module)
        modules.append(module)
    return modules


class Objects:
    """All kernels of a file, linked one by one as they are asked for; none is ever let go.

    `kernels` has for each name the place of its code in `code`, the symbols of its wrapper and of
    its environment, and the types of its arguments.
    """

    def __init__(self, kernels: dict[str, Any], code: bytes) -> None:
        from llvmlite import binding

        helpers, self._functions, runtime = _load_extensions()
        for prefix, table in (
            ("numba_", helpers.c_helpers),
            ("numba_", self._functions.c_helpers),
            ("NRT_", runtime.c_helpers),
        ):
            for name, address in table.items():
                # The runtime has names for itself, which have no prefix.
                is_own = prefix == "NRT_" and name.startswith("_")
                binding.add_symbol(name if is_own else prefix + name, address)
        binding.add_symbol("_Py_NoneStruct", id(None))
        for name, value in vars(__import__("builtins")).items():
            if isinstance(value, type) and issubclass(value, BaseException):
                binding.add_symbol(f"PyExc_{name}", id(value))
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        target = binding.Target.from_triple(binding.get_process_triple())
        machine = target.create_target_machine(codemodel="jitdefault", jit=True)
        self._binding = binding
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(""), machine)
        self._kernels, self._code = kernels, code

    def names(self) -> list[str]:
        """The full names of all kernels."""
        return list(self._kernels)

    def native(self, name: str) -> Callable[..., Any]:
        """The compiled kernel itself; it takes arrays of other types without a word."""
        kernel = self._kernels[name]
        start = kernel["start"]
        code = self._code[start : start + kernel["size"]]
        self._engine.add_object_file(self._binding.object_file.ObjectFileRef.from_data(code))
        self._engine.finalize_object()
        wrapper = self._engine.get_function_address(kernel["wrapper"])
        variable = self._engine.get_global_value_address(kernel["environment"])
        if not wrapper or not variable:
            raise LookupError(f"{name}: its code lacks a symbol")
        environment = self._functions.Environment(globals())
        ctypes.c_void_p.from_address(variable).value = id(environment)
        keep = (self._engine, environment)
        module = sys.modules[__name__]
        function: Callable[..., Any] = self._functions.make_function(
            module, name.rpartition(".")[2], name, wrapper, environment, keep
        )
        return function

    def function(self, name: str) -> Callable[..., Any]:
        """The kernel behind a check of its arguments: a call with others raises TypeError."""
        return checked(self.native(name), name, self._kernels[name]["arguments"])
