"""Survives a program that cuts its own segment short: SIGBUS in a mapping of ours reads zeros.

A file that others can write to can be shortened at any moment, also between a look at its size and
the next load; the load then raises SIGBUS, which ends the process. The handler maps zeros over all
of the segment that was hit and marks it; the load is done again and finds an empty lane, and the
collector puts the segment's lanes aside. A fault at any other address goes to whoever handled
SIGBUS before (faulthandler, or the default, which ends the process).

The handler is machine code of its own, since Python's handlers run only between two bytecodes: it
reads a table, calls mmap, and needs neither locks nor the GIL. It is installed once, at the first
segment that is attached.
"""

import ctypes
import signal
from typing import Any

import numpy as np
from llvmlite import binding
from numpy.typing import NDArray

_SA_SIGINFO, _SA_ONSTACK = 0x4, 0x08000000
# Words of the table: how many rows, how many hits, then rows of start, end, whether it was hit.
_ROWS, _HITS, _FIRST = 0, 1, 2
_START, _END, _HIT, _ROW_WORDS = 0, 1, 2, 3
_ROWS_AT_FIRST = 64

# siginfo_t of 64-bit Linux has si_code at byte 8 and si_addr at byte 16; a positive si_code says
# that the kernel found a fault, and not that somebody sent the signal. 3 is PROT_READ |
# PROT_WRITE, 50 is MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS.
_HANDLER = """
@table = internal global ptr null
@before = internal global [64 x i64] zeroinitializer

declare ptr @mmap(ptr, i64, i32, i32, i32, i64)
declare i32 @sigaction(i32, ptr, ptr)
declare i32 @raise(i32)

define void @use_table(ptr %words) {
  store atomic ptr %words, ptr @table release, align 8
  ret void
}

define ptr @action_before() {
  ret ptr @before
}

define void @on_bus_error(i32 %number, ptr %info, ptr %context) {
entry:
  %code_at = getelementptr i8, ptr %info, i64 8
  %code = load i32, ptr %code_at, align 8
  %address_at = getelementptr i8, ptr %info, i64 16
  %address = load i64, ptr %address_at, align 8
  %is_fault = icmp sgt i32 %code, 0
  %words = load atomic ptr, ptr @table acquire, align 8
  %count = load atomic i64, ptr %words acquire, align 8
  br i1 %is_fault, label %look, label %other
look:
  %row = phi i64 [ 0, %entry ], [ %next, %not_here ]
  %is_row = icmp slt i64 %row, %count
  br i1 %is_row, label %compare, label %other
compare:
  %skip = mul i64 %row, 3
  %index = add i64 %skip, 2
  %start_at = getelementptr i64, ptr %words, i64 %index
  %end_at = getelementptr i64, ptr %start_at, i64 1
  %start = load atomic i64, ptr %start_at acquire, align 8
  %end = load atomic i64, ptr %end_at acquire, align 8
  %is_after = icmp uge i64 %address, %start
  %is_before = icmp ult i64 %address, %end
  %is_here = and i1 %is_after, %is_before
  br i1 %is_here, label %here, label %not_here
not_here:
  %next = add i64 %row, 1
  br label %look
here:
  %size = sub i64 %end, %start
  %place = inttoptr i64 %start to ptr
  %got = call ptr @mmap(ptr %place, i64 %size, i32 3, i32 50, i32 -1, i64 0)
  %is_mapped = icmp eq ptr %got, %place
  br i1 %is_mapped, label %mapped, label %other
mapped:
  %hit_at = getelementptr i64, ptr %start_at, i64 2
  store atomic i64 1, ptr %hit_at release, align 8
  %hits_at = getelementptr i64, ptr %words, i64 1
  %hits = atomicrmw add ptr %hits_at, i64 1 acq_rel
  ret void
other:
  %restored = call i32 @sigaction(i32 %number, ptr @before, ptr null)
  br i1 %is_fault, label %again, label %send
send:
  %sent = call i32 @raise(i32 %number)
  br label %again
again:
  ret void
}
"""


class _Action(ctypes.Structure):
    """`struct sigaction` of 64-bit Linux."""

    _fields_ = (
        ("handler", ctypes.c_void_p),
        ("mask", ctypes.c_uint64 * 16),
        ("flags", ctypes.c_int),
        ("restorer", ctypes.c_void_p),
    )


class BusGuard:
    """The mappings in which SIGBUS is survived; one for a process."""

    def __init__(self) -> None:
        self._engine: Any = None
        self._words: NDArray[np.int64] = np.zeros(0, np.int64)
        self._kept: list[NDArray[np.int64]] = []  # tables that a handler may still be reading

    def protect(self, address: int, size_bytes: int) -> None:
        """Survive faults in these bytes from now on, until `release`."""
        if self._engine is None:
            self._install()
        row = next((i for i in range(self._words[_ROWS]) if not self._row(i)[_END]), None)
        if row is None:
            row = int(self._words[_ROWS])
            if _FIRST + (row + 1) * _ROW_WORDS > len(self._words):
                self._grow()
            self._words[_ROWS] = row + 1
        words = self._row(row)
        words[_HIT] = 0
        words[_START] = address
        words[_END] = address + size_bytes  # last: a row without an end holds no address

    def release(self, address: int) -> None:
        """Leave the mapping that begins there to itself; to be called before it is unmapped."""
        if not len(self._words):
            return  # nothing was ever protected
        for row in range(self._words[_ROWS]):
            if self._row(row)[_START] == address:
                self._row(row)[_END] = 0
                self._row(row)[_START] = 0

    @property
    def hits(self) -> int:
        """Faults that were survived."""
        return int(self._words[_HITS]) if len(self._words) else 0

    def was_hit(self, address: int) -> bool:
        """Whether the mapping that begins there was replaced by zeros."""
        rows = (self._row(row) for row in range(self._words[_ROWS]))
        return any(words[_START] == address and words[_HIT] for words in rows)

    def _row(self, row: int) -> NDArray[np.int64]:
        start = _FIRST + row * _ROW_WORDS
        return self._words[start : start + _ROW_WORDS]

    def _grow(self) -> None:
        """Go over to a table of twice the size."""
        rows = max(_ROWS_AT_FIRST, 2 * int(self._words[_ROWS])) if len(self._words) else 0
        table = np.zeros(_FIRST + (rows or _ROWS_AT_FIRST) * _ROW_WORDS, np.int64)
        table[: len(self._words)] = self._words
        self._kept.append(table)
        self._use_table(table.ctypes.data)
        self._words = table

    def _install(self) -> None:
        binding.initialize_native_target()
        binding.initialize_native_asmprinter()
        target = binding.Target.from_triple(binding.get_process_triple())
        machine = target.create_target_machine(codemodel="jitdefault", jit=True)
        self._engine = binding.create_mcjit_compiler(binding.parse_assembly(_HANDLER), machine)
        self._engine.finalize_object()
        use_table = self._engine.get_function_address("use_table")
        self._use_table = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(use_table)
        before = self._engine.get_function_address("action_before")
        self._grow()
        action = _Action(
            handler=self._engine.get_function_address("on_bus_error"),
            flags=_SA_SIGINFO | _SA_ONSTACK,
        )
        sigaction = ctypes.CDLL(None, use_errno=True).sigaction
        sigaction.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        address_before = ctypes.CFUNCTYPE(ctypes.c_void_p)(before)()
        if sigaction(signal.SIGBUS, ctypes.byref(action), address_before) != 0:
            raise OSError(ctypes.get_errno(), "SIGBUS cannot be handled")


BUS_GUARD = BusGuard()
