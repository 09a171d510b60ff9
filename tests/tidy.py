"""The rules of this repository that a program can check; each comes with a tree that breaks it."""

import ast
import os
import re
import sys
from collections.abc import Callable, Iterator
from fnmatch import fnmatch
from functools import cache
from pathlib import Path
from typing import NamedTuple

Tree = dict[str, str]  # path -> text
Check = Callable[[Tree], Iterator[str]]

CODE = ("rnts/", "kernels/", "commands/", "perf/", "scripts/")
LAYERS = ("rnts/", "kernels/", "commands/")
TEXTS = {".py", ".md", ".toml", ".txt", ".yaml", ""}
LEFT_BY_TOOLS = re.compile(r"\.(?!ci$)|__pycache__$|build$|dist$|.*\.egg-info$")
COLUMNS_MAX = 100
FILE_LINES, FILE_LINES_MAX = 250, 400
FUNCTION_LINES = 50
PARAMETERS_MAX = 8
SLACK_LINES = 20  # how far a limit below may lie above what it limits

# What is longer than it should be, and how long it is. Numbers here only shrink.
LONG_FILES: dict[str, int] = {}
LONG_FUNCTIONS: dict[str, int] = {}

# Where kernels write LLVM's code themselves.
INTRINSICS = (
    "kernels/atomics.py", "kernels/bell.py", "kernels/pyapi.py", "kernels/arguments.py",
    "kernels/vectors.py", "kernels/fold_rows.py", "kernels/bucket_rows.py",
)  # fmt: skip
# Who may import a library from outside. Tests and benchmarks may import all of them.
OWNERS = {
    "numpy": ("kernels/*", "rnts/*"),
    "numba": (
        "kernels/_jit.py",
        "kernels/_parts.py",
        "kernels/_export.py",
        *INTRINSICS,
        "rnts/jit.py",
    ),
    "llvmlite": ("kernels/_objects.py", *INTRINSICS, "rnts/bus_guard.py"),
    "lz4": ("rnts/frame_body.py",),
    "zmq": ("rnts/links/zmq*.py",),
    "grpc": ("rnts/links/grpc*.py",),
    "apprise": ("rnts/alerts/actions_apprise.py",),
    "psutil": ("rnts/host*.py",),
    "pynvml": ("rnts/host*.py",),
    "yaml": ("rnts/settings*.py",),
    "pydantic": ("rnts/settings*.py",),
    "pydantic_core": ("rnts/settings*.py",),
    "typer": ("commands/*", "rnts/__main__.py"),
    "rich": ("commands/*",),
}
KERNELS_MAY_IMPORT = {"math", "platform", "sys", "typing"}  # of the standard library


class Rule(NamedTuple):
    """A check, and a tree in which it must find something."""

    check: Check
    broken: Tree


RULES: list[Rule] = []


def rule(broken: Tree) -> Callable[[Check], Check]:
    """Put a check on the list together with a tree that breaks it."""

    def register(check: Check) -> Check:
        RULES.append(Rule(check, broken))
        return check

    return register


def read_tree(root: Path) -> Tree:
    """What people write below `root`; links are not followed, nor what tools leave behind."""
    tree = {}
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if not LEFT_BY_TOOLS.match(name)]
        for path in (Path(folder, name) for name in names):
            if (
                path.suffix in TEXTS
                and not path.is_symlink()
                and not LEFT_BY_TOOLS.match(path.name)
            ):
                tree[path.relative_to(root).as_posix()] = path.read_text()
    return tree


def parsed(tree: Tree, folders: tuple[str, ...]) -> Iterator[tuple[str, ast.Module]]:
    """The Python files below `folders` with their syntax trees."""
    for path, text in tree.items():
        if path.startswith(folders) and path.endswith(".py"):
            yield path, parse(text, path)


@cache
def parse(text: str, path: str) -> ast.Module:
    """The syntax tree of a file, which each rule looks at and none changes."""
    return ast.parse(text, path)


@cache
def nodes(module: ast.Module) -> list[ast.AST]:
    """What any rule looks for in a module: to walk through all of it takes a millisecond."""
    kinds = ast.Import | ast.ImportFrom | ast.FunctionDef | ast.AsyncFunctionDef | ast.Call
    return [node for node in ast.walk(module) if isinstance(node, kinds)]


def imports(module: ast.Module) -> Iterator[tuple[int, str]]:
    """Line and full name of each import, wherever it stands: `from a import b` is `a.b`."""
    for node in nodes(module):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            start = "." * node.level + (node.module or "")
            yield from ((node.lineno, f"{start}.{alias.name}") for alias in node.names)


def functions(module: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """All functions of a module, nested ones too."""
    for node in nodes(module):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@rule({"kernels/a.py": "from rnts import model\n"})
@rule({"kernels/a.py": "import json\n"})
@rule({"rnts/a.py": "def f():\n    from rnts.commands import up\n"})
@rule({"commands/a.py": "from rnts.kernels import lane\n"})
@rule({"rnts/a.py": "from .commands import up\n"})
@rule({"rnts/a.py": "from rnts.perf import workload\n"})
@rule({"perf/a.py": "from rnts.commands import up\n"})
def arrows_between_layers(tree: Tree) -> Iterator[str]:
    """Commands import rnts, rnts imports kernels, kernels import numpy and each other.

    Benchmarks stand beside commands, which run them: they import rnts and kernels.
    """
    for path, module in parsed(tree, (*LAYERS, "perf/")):
        for line, name in imports(module):
            if path.startswith("kernels/"):
                top = name.partition(".")[0]
                ours = top == "rnts" and not f"{name}.".startswith("rnts.kernels.")
                wrong = ours or (
                    top in sys.stdlib_module_names
                    and top not in KERNELS_MAY_IMPORT
                    and not path.startswith("kernels/_")
                )
            elif path.startswith("commands/"):
                wrong = f"{name}.".startswith("rnts.kernels.")
            elif path.startswith("perf/"):
                wrong = f"{name}.".startswith("rnts.commands.")
            else:
                above = f"{name}.".startswith(("rnts.commands.", "rnts.perf."))
                wrong = above and path != "rnts/__main__.py"
            if wrong or name.startswith("."):
                yield f"{path}:{line}: must not import {name}"


@rule({"rnts/a.py": "import zmq.asyncio\n"})
@rule({"commands/a.py": "import requests\n"})
@rule({"rnts/a.py": "import kernels.lane\n"})
def owners_of_libraries(tree: Tree) -> Iterator[str]:
    """Each library from outside is imported by its owner only; no other library is."""
    for path, module in parsed(tree, LAYERS):
        for line, name in imports(module):
            top = name.partition(".")[0]
            known = top in sys.stdlib_module_names or top in ("", "rnts")
            if not known and not any(fnmatch(path, owner) for owner in OWNERS.get(top, ())):
                owners = ", ".join(OWNERS.get(top, ("nobody",)))
                yield f"{path}:{line}: imports {name}, which belongs to {owners}"


@rule({"rnts/a.py": "X = 1\n"})
@rule({"tests/a.py": '"""Two. Sentences."""\n'})
@rule({"kernels/a.py": '"""No full stop"""\n'})
def module_docstrings(tree: Tree) -> Iterator[str]:
    """A module begins with one sentence that says what it is."""
    for path, module in parsed(tree, (*CODE, "tests/")):
        first = (ast.get_docstring(module) or "").partition("\n\n")[0]
        if not first.endswith((".", ":")) or re.search(r"[.?!] +[A-Z]", " ".join(first.split())):
            yield f"{path}: begins with {first[:60]!r}, not with one sentence"


@rule({"tests/test_a.py": "def test_a():\n    pass\n"})
@rule({"tests/test_a.py": "class TestA:\n    def test_a(self):\n        pass\n"})
def test_docstrings(tree: Tree) -> Iterator[str]:
    """A test says in its docstring which behaviour it is about."""
    for path, module in parsed(tree, ("tests/",)):
        for function in functions(module):
            if function.name.startswith("test_") and not ast.get_docstring(function):
                yield f"{path}:{function.lineno}: {function.name} has no docstring"


test_docstrings.__test__ = False  # type: ignore[attr-defined]


@rule({"scripts/a": f"# {'x' * 99}\n"})
def columns(tree: Tree) -> Iterator[str]:
    """No line of a script is wider than 100 columns; ruff sees to those in Python."""
    for path, text in tree.items():
        if path.startswith(("scripts/", ".ci/")):
            for number, line in enumerate(text.splitlines(), 1):
                if len(line) > COLUMNS_MAX:
                    yield f"{path}:{number}: {len(line)} columns"


def over(name: str, lines: int, wanted: int, long: dict[str, int]) -> Iterator[str]:
    """The ratchet: what is longer than wanted is on the list, and the list follows it down."""
    limit = long.get(name, wanted)
    if lines > limit:
        yield f"{name}: {lines} lines, may have {limit}; split it"
    elif name in long and lines < limit - SLACK_LINES:
        yield f"{name}: {lines} lines, may have {limit}; lower the limit in tests/tidy.py"


@rule({"rnts/a.py": "\n" * 251})
@rule({"tests/a.py": "\n" * 401})
def file_lengths(tree: Tree) -> Iterator[str]:
    """A file of code keeps to 250 lines or to the list, a file of tests to 400, as all do."""
    for path, text in tree.items():
        if path.endswith(".py"):
            lines = text.count("\n")
            wanted = FILE_LINES if path.startswith(CODE) else FILE_LINES_MAX
            yield from over(path, lines, wanted, LONG_FILES)
            if lines > FILE_LINES_MAX:
                yield f"{path}: {lines} lines; no file passes {FILE_LINES_MAX}"


@rule({"rnts/a.py": "def f():\n" + "    x = 1\n" * 51})
def function_lengths(tree: Tree) -> Iterator[str]:
    """A function keeps to 50 lines, signature and docstring aside, or to the list."""
    for path, module in parsed(tree, (*CODE, "tests/")):
        for function in functions(module):
            body = function.body[1:] if ast.get_docstring(function) else function.body
            lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
            yield from over(f"{path}:{function.name}", lines, FUNCTION_LINES, LONG_FUNCTIONS)


# Put together here, so that this file does not break the rule.
UNFINISHED = re.compile(
    "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "NotImplemented" + "Error"))
)
BUILD_MACHINE = re.compile("/" + "(work|root|farm)/")
REGISTRY = re.compile(r"(pypi|pythonhosted|npmjs|anaconda|debian)\." + "(org|com)")


@rule({"rnts/a.py": "# " + "TO" + "DO\n"})
@rule({"README.md": "see /" + "work/main\n"})
@rule({"constraints.txt": "--index-url https://pypi" + ".org/simple\n"})
def forbidden_words(tree: Tree) -> Iterator[str]:
    """Nothing unfinished is marked, no path of a build machine and no registry is named."""
    for path, text in tree.items():
        for number, line in enumerate(text.splitlines(), 1):
            for pattern in (UNFINISHED, BUILD_MACHINE, REGISTRY):
                if found := pattern.search(line):
                    yield f"{path}:{number}: says {found[0]}"


@rule({"rnts/a.py": "def f():\n    print(1)\n"})
def no_print(tree: Tree) -> Iterator[str]:
    """Only commands print."""
    for path, module in parsed(tree, ("rnts/", "kernels/")):
        for node in nodes(module):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "print":
                yield f"{path}:{node.lineno}: prints"


@rule({"kernels/a.py": "@kernel('...')\ndef f(a, b, c, d, e, f, g, h, i):\n    pass\n"})
def kernel_parameters(tree: Tree) -> Iterator[str]:
    """An entry point has at most 8 parameters: more means that a header array is missing."""
    for path, module in parsed(tree, ("kernels/",)):
        for function in functions(module):
            names = (getattr(d, "func", d) for d in function.decorator_list)
            count = len(function.args.args)
            if count > PARAMETERS_MAX and "kernel" in [getattr(n, "id", "") for n in names]:
                yield f"{path}:{function.lineno}: {function.name} has {count} parameters"


@rule({"constraints.txt": "numba>=0.61\n"})
@rule({"constraints.txt": "numba @ file:numba.whl\n"})
def constraints(tree: Tree) -> Iterator[str]:
    """Constraints are exact: names and versions, nothing else."""
    for line in tree.get("constraints.txt", "").splitlines():
        if not re.fullmatch(r"#.*|[\w.-]+==\d[\w.]*", line):
            yield f"constraints.txt: {line}"
