"""The house keeps its rules: imports go down, and importing haversack costs little."""

import ast
from pathlib import Path

import pytest
from tests.running import run_python

import haversack

ROOT = Path(haversack.__file__).parent
FLOORS = {
    0: {"errors", "events"},
    1: {"storage"},
    2: {"catalog", "packed", "split"},
    3: {"download", "disk"},
    4: {"hub", "convert", "loader", "view", "client", "exceptions", "models", "session", "opening"},
    5: {"server", "cli", "demo"},
}
FLOOR = {part: floor for floor, parts in FLOORS.items() for part in parts}
# The folders of a part, the lowest first; those of one line know nothing of each other.
STOREYS = {
    "packed": [
        {"encoding"},
        {"chunks"},
        {"manifests"},
        {"journal"},
        {"reading"},
        {"writing"},
        {"batches", "build", "upkeep"},
    ],
    "split": [
        {"planning"},
        {"chunks"},
        {"blockfiles"},
        {"results"},
        {"directory"},
        {"growth"},
        {"reductions", "upkeep"},
    ],
}
# What is imported by these when it is asked for: names of tables that tests check elsewhere.
LAZY = {"__init__.py", "cli/main.py", "loader/__init__.py"}
MODULES = sorted(ROOT.rglob("*.py"))


def _part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def _imports(path: Path, *, types: bool = True) -> set[str]:
    """Every haversack module that a file imports, wherever in the file."""
    found, tree = set(), ast.parse(path.read_text())
    for_types = set[ast.AST]()
    if not types:
        for node in ast.walk(tree):
            if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
                for_types.update(*map(ast.walk, node.body))
    for node in ast.walk(tree):
        if node in for_types:
            continue
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            base = node.module or ""
            found |= {base} if base != "haversack" else {f"haversack.{n.name}" for n in node.names}
        elif isinstance(node, ast.Call) and ast.unparse(node.func) == "import_module":
            assert path.relative_to(ROOT).as_posix() in LAZY, f"{path}: imports by a name made up"
    assert "haversack" not in found, f"{path}: imports the whole of haversack"
    return {name for name in found if name.startswith("haversack.")}


def _own_part(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_imports_go_down_or_sideways(path):
    own = _own_part(path)
    if own in {"__init__", "__main__"}:
        return
    for module in _imports(path):
        if _part(module) == "__version__":
            continue
        assert FLOOR[_part(module)] <= FLOOR[own], f"{path} imports {module}, which is above it"


def _storey(module: str) -> tuple[str, int]:
    """Give the folder of a part that a module is in, and how high that is."""
    part, folder = [*module.split(".")[1:3], ""][:2]
    for height, folders in enumerate(STOREYS[part]):
        if folder in folders:
            return folder, height
    return "", len(STOREYS[part])


@pytest.mark.parametrize(
    "path",
    [path for path in MODULES if _own_part(path) in STOREYS],
    ids=lambda p: str(p.relative_to(ROOT)),
)
def test_folders_of_a_part_import_those_below_them(path):
    own, height = _storey(".".join(("haversack", *path.relative_to(ROOT).with_suffix("").parts)))
    for module in _imports(path, types=False):
        if _part(module) == _own_part(path):
            folder, other = _storey(module)
            assert folder == own or other < height, f"{path} imports {module}, not below it"


def test_no_circle_between_parts():
    graph: dict[str, set[str]] = {}
    for path in MODULES:
        own = _own_part(path)
        parts = {_part(module) for module in _imports(path)} - {own, "__version__"}
        graph.setdefault(own, set()).update(parts)
    done: set[str] = set()

    def visit(part, above):
        assert part not in above, " -> ".join([*above, part])
        if part not in done:
            for below in graph.get(part, ()):
                visit(below, [*above, part])
            done.add(part)

    for part in graph:
        visit(part, [])


def test_public_names_are_sorted_and_exist():
    assert haversack.__all__ == sorted(haversack.__all__)
    for name in haversack.__all__:
        assert getattr(haversack, name) is not None


def test_open_is_reached_but_not_starred():
    assert callable(haversack.open)
    assert "open" not in haversack.__all__


def test_import_loads_nothing_heavy():
    heavy = {"numpy", "pandas", "pyarrow", "duckdb", "h5py", "pycurl", "pystac", "shapely", "torch"}
    program = "import sys, haversack; print(*sys.modules)"
    assert not heavy & set(run_python(program).split())


@pytest.mark.parametrize("path", MODULES, ids=lambda p: str(p.relative_to(ROOT)))
def test_nothing_runs_code_from_data(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"eval", "exec"}, f"{path}:{node.lineno}"
        if isinstance(node, ast.Import):
            assert not {n.name for n in node.names} & {"pickle", "marshal", "shelve"}, path
