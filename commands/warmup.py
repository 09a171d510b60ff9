"""`rnts warmup`: compile the kernels behind a progress bar; quiet when all are there already."""

import json
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rnts.warmup import Step


def warmup(
    as_json: Annotated[bool, typer.Option("--json", help="Print the outcome as JSON.")] = False,
) -> None:
    """Compile the kernels ahead, so that the first start is as quick as any."""
    from rnts.warmup import cache_folder, compile_kernels, import_kernels, is_warm

    require_cache(as_json)
    start = time.monotonic()
    total = import_kernels()
    steps = compile_kernels()
    kernels = {
        step.kernel: "cached" if step.from_cache else "compiled"
        for step in (steps if is_warm() else show_progress(steps, total))
    }
    if as_json:
        report = {"version": 1, "cache_folder": str(cache_folder()), "kernels": kernels}
        typer.echo(json.dumps({**report, "seconds": round(time.monotonic() - start, 3)}))


def compile_if_cold() -> None:
    """Compile behind a progress bar what is not compiled; this process stays free of Numba."""
    import subprocess
    import sys

    from rnts.warmup import is_warm

    if not is_warm():
        # Without a cache folder it fails, and says so; then each process compiles its own.
        subprocess.run([sys.executable, "-m", "rnts", "warmup"], check=False)


def require_cache(as_json: bool) -> None:
    """Refuse where nothing could be kept: compiling would help no other process."""
    from rnts.errors import RntsError
    from rnts.warmup import cache_folder, wanted_cache_folder

    if cache_folder() is not None:
        return
    if as_json:
        typer.echo(json.dumps({"version": 1, "cache_folder": None, "kernels": {}, "seconds": 0.0}))
    raise RntsError(
        f"{wanted_cache_folder()} cannot be written, so no compiled kernel can be kept and each "
        "process compiles its own; make it writable or set RNTS_CACHE_DIR"
    )


def show_progress(steps: "Iterable[Step]", total: int) -> "Iterator[Step]":
    """Pass the steps on behind a bar on stderr, or between two lines where that is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    start = time.monotonic()
    if console.is_terminal and not console.is_dumb_terminal:
        columns = (
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TextColumn("{task.fields[kernel]}"),
        )
        with Progress("compiling kernels", *columns, console=console, transient=True) as bar:
            task = bar.add_task("", total=total, kernel="")
            for step in steps:
                bar.update(task, advance=1, kernel=step.kernel)
                yield step
    else:
        typer.echo(f"rnts: compiling {total} kernels", err=True)
        yield from steps
    seconds = time.monotonic() - start
    typer.echo(f"rnts: {total} kernels are compiled and kept ({seconds:.1f} s)", err=True)
