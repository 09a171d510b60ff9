"""Which emitters serve: what this Python could have, and what the programs that run have chosen."""

from collections import Counter
from pathlib import Path

from rnts import layout, runtime, warmup
from rnts.choice import make_compiled
from rnts.machine import Finding

_KINDS = {layout.EMITTER_PYTHON: "python", layout.EMITTER_COMPILED: "compiled"}


def emitters() -> Finding:
    """Whether the compiled emitter can serve in this Python, and which emitter serves whom now."""
    name = "emitters"
    found = serving(runtime.segment_folders())
    now = ", ".join(f"{count} {kind}" for kind, count in sorted(found.items()))
    programs = f"; programs at work: {now}" if now else ""
    try:
        make_compiled(lambda records: None)
    except Exception as error:  # noqa: BLE001 - whatever Numba raises on this machine
        finding = f"only the one in Python can serve: {error}{programs}"
        return Finding(name, "warn", finding, "use a CPython with a GIL, and the Numba of RNTS")
    if not warmup.is_warm():
        finding = f"the compiled one has to be compiled first{programs}"
        return Finding(name, "warn", finding, "run `rnts warmup`")
    return Finding(name, "ok", f"compiled, by rnts.attach(jit=True) or RNTS_JIT=1{programs}")


def serving(folders: list[Path]) -> Counter[str]:
    """How many programs have which emitter, by the segments in some folders."""
    found: Counter[str] = Counter()
    for path in (path for folder in folders for path in folder.glob(f"*{runtime.SEGMENT_SUFFIX}")):
        try:
            with open(path, "rb") as file:
                header = file.read(layout.HEADER_BYTES)
        except OSError:
            continue  # it has ended meanwhile, or is another user's
        kind = int.from_bytes(header[layout.HEADER_EMITTER :][:8], "little")
        if kind in _KINDS:
            found[_KINDS[kind]] += 1
    return found
