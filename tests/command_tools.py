"""Commands of `rnts` in the process of the tests: no start of another, which takes a second."""

import logging
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO

import pytest

from rnts import __main__ as roof
from rnts import logs
from rnts.kernels import _objects


def here(*words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """`rnts WORDS` to its end: the exit code, and what would have gone into two pipes.

    For commands that ask, look or refuse. What a command does to its process is undone, as far as
    the start of each does something: it sets logging up, and asks for ready code.
    """
    output, errors = StringIO(), StringIO()
    root, ours = logging.getLogger(), logging.getLogger("rnts")
    level = ours.level
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(logs.VARIABLE, os.environ.get(logs.VARIABLE, str(logs.NORMAL)))
        for name, value in environment.items():
            patch.setenv(name, value)
        patch.setattr(sys, "argv", ["rnts", *words])
        patch.setattr(root, "handlers", list(root.handlers))
        patch.setattr(_objects, "_is_preferred", _objects._is_preferred)
        with redirect_stdout(output), redirect_stderr(errors), pytest.raises(SystemExit) as ended:
            roof.main()
    ours.setLevel(level)
    code = ended.value.code or 0
    assert isinstance(code, int), f"a command ends with a number, not with {code!r}"
    return subprocess.CompletedProcess(words, code, output.getvalue(), errors.getvalue())
