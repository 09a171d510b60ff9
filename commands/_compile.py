"""Compiles the kernels behind a progress bar, once a machine and version."""

import sys


def compile_with_bar() -> None:
    """Make sure that every kernel has machine code; silent when it is there."""
    from rnts.warmup import compile_kernels, import_kernels, is_warm
