"""The house rules, kept by reading the source: floors, budgets, names, forbidden calls, declared dependencies."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "src" / "elboroom"

FLOORS = {
    0: {"core"},
    1: {"nn", "losses", "data", "engine", "metrics", "artifacts"},
    2: {"models"},
    3: {"anomalies", "api", "attention", "baselines", "batching", "checks", "classification", "code_sheets",
        "comparison", "comparison_codes", "comparison_measures", "comparison_quality", "comparison_words",
        "detecting", "detecting_answer", "diagnose", "drawing", "estimator", "evaluate", "evaluate_audit",
        "evaluate_codes", "evaluate_denoising", "evaluate_horizons", "evaluate_imputation", "evaluate_mistakes",
        "evaluate_run", "evaluate_samples", "evaluate_sequences", "evaluate_series", "evaluate_text", "export",
        "extractors", "finish", "fitting",
        "forecasting", "generation", "gpt2_weights", "horizon", "imbalance", "imputation", "inspect",
        "inspect_cells", "inspect_looks", "inspect_text", "measuring", "memorisation", "outputs", "pace", "plan",
        "processes", "quality", "quality_modes", "quality_watch", "request", "run", "sample_sheets", "series_files",
        "settings", "sheets", "speed", "stops", "stretches", "surprise", "sweeping", "sweeping_members",
        "sweeping_stack", "sweeping_table", "text_samples", "training"},
    4: {"card", "report"},
    5: {"cli", "play", "studio", "serve", "web", "__main__", "__init__"},
}  # fmt: skip
FLOOR_OF = {name: floor for floor, names in FLOORS.items() for name in names}

# `fit` ends by writing card and report, `detect` by writing its page, and `run.report()` is promised in Python: these
# call up into a floor that needs nothing of theirs but the run folder, or plain values.
CLOSING = {"detecting_answer", "finish", "imbalance", "run", "sweeping"}

# What a floor below 3 may import beside torch, numpy and the standard library; the lazy ones inside functions only.
EAGER = {"artifacts": {"safetensors"}, "models": {"annotated_types"}, "nn": {"annotated_types"}}
LAZY = {
    "data": {"PIL", "anndata", "h5py", "pandas", "polars", "pyarrow", "scipy", "sklearn", "tokenizers"},
    "metrics": {"scipy", "sklearn"},
    "artifacts": {"safetensors", "torch"},
}
FILE_LINES, FUNCTION_LINES, MODEL_LINES, CONSTRUCTOR_ARGUMENTS = 440, 60, 200, 12


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


def sources(*parts: str) -> list[Path]:
    folders = [PACKAGE / p for p in parts] or [PACKAGE]
    found = [path for f in folders for path in (f.rglob("*.py") if f.is_dir() else [f.with_suffix(".py")])]
    return sorted(path for path in found if path.is_file())


def part(path: Path) -> str:
    """The name that decides the floor: the sub-package, or the file where it stands alone."""
    return path.relative_to(PACKAGE).with_suffix("").parts[0]


def module(path: Path) -> str:
    parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def where(path: Path, node: ast.AST) -> str:
    return f"{path.relative_to(ROOT)}:{getattr(node, 'lineno', 1)}"


def typing_only(root: ast.Module) -> set[ast.AST]:
    """Nodes under `if TYPE_CHECKING:`, which no program ever runs."""
    guarded = [n for n in ast.walk(root) if isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test)]
    return {inner for n in guarded for child in n.body for inner in ast.walk(child)}


def lazy_nodes(root: ast.Module) -> set[ast.AST]:
    """Nodes inside functions, which run when called and not when imported."""
    functions = [n for n in ast.walk(root) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    return {inner for f in functions for child in f.body for inner in ast.walk(child)}


@cache
def imports(path: Path) -> list[tuple[ast.stmt, str, bool, bool]]:
    """(node, absolute module, lazy, for types only) for each import of a file."""
    return list(_imports(path))


def _imports(path: Path) -> Iterator[tuple[ast.stmt, str, bool, bool]]:
    root = tree(path)
    lazy, typed = lazy_nodes(root), typing_only(root)
    package = module(path).split(".") if path.name == "__init__.py" else module(path).split(".")[:-1]
    for node in ast.walk(root):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node, alias.name, node in lazy, node in typed
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            origin = ".".join([*base, *(node.module.split(".") if node.module else [])])
            if origin == "elboroom" and [a.name for a in node.names] == ["__version__"]:
                continue  # a number, and the package's root is imported before any part of it
            for alias in node.names:  # `from elboroom import fit` imports the module elboroom.fit
                deeper = PACKAGE.parent.joinpath(*origin.split("."), alias.name)
                is_module = deeper.with_suffix(".py").is_file() or deeper.is_dir()
                yield node, f"{origin}.{alias.name}" if is_module else origin, node in lazy, node in typed


def inside(name: str) -> str | None:
    """`models` for `elboroom.models.x`; None for other people's modules."""
    parts = name.split(".")
    if parts[0] != "elboroom":
        return None
    return parts[1] if len(parts) > 1 else "__init__"


def fail(headline: str, offenders: list[str]) -> None:
    if offenders:
        pytest.fail(headline + "\n  " + "\n  ".join(sorted(set(offenders))), pytrace=False)


def test_every_part_stands_on_a_floor() -> None:
    fail(
        "a new file or folder of the package: say in FLOORS on which floor it stands",
        [str(p.relative_to(ROOT)) for p in sources() if part(p) not in FLOOR_OF],
    )


def test_imports_go_down_only() -> None:
    offenders = []
    for path in sources():
        mine = part(path)
        for node, name, _, _ in imports(path):
            theirs = inside(name)
            if theirs is None or theirs == mine or mine in ("__init__", "__main__"):
                continue
            here, there = FLOOR_OF.get(mine, 3), FLOOR_OF.get(theirs, 3)
            if there == 4 and mine in CLOSING:
                continue
            if there > here or (there == here == 1) or theirs == "__init__":
                offenders.append(f"{where(path, node)}: {mine} (floor {here}) imports {theirs} (floor {there})")
    fail(
        "imports go down, and siblings of floor 1 never import each other; a function is on the wrong floor:", offenders
    )


def test_modules_import_each_other_without_a_circle() -> None:
    edges = {
        module(p): {n for _, n, lazy, typed in imports(p) if inside(n) and not lazy and not typed and n != module(p)}
        for p in sources()
    }
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        if name in trail:
            pytest.fail("modules import each other in a circle: " + " -> ".join([*trail, name]), pytrace=False)
        if name not in done:
            for other in sorted(edges.get(name, ())):
                visit(other, (*trail, name))
            done.add(name)

    for name in sorted(edges):
        visit(name, ())


def test_the_lower_floors_need_only_torch_and_numpy() -> None:
    offenders = []
    for path in sources(*FLOORS[0], *FLOORS[1], *FLOORS[2]):
        for node, name, lazy, typed in imports(path):
            top = name.split(".")[0]
            allowed = {"elboroom", "torch", "numpy", *sys.stdlib_module_names, *EAGER.get(part(path), ())}
            if lazy or typed or path == PACKAGE / "core" / "registry.py":
                allowed |= LAZY.get(part(path), set())
            if top not in allowed:
                offenders.append(f"{where(path, node)}: imports {top}")
    fail("floors 0 to 2 import torch, numpy and the standard library; the rest inside functions, if at all:", offenders)


def test_reports_never_import_torch() -> None:
    offenders = [
        where(p, n) for p in sources("report") for n, name, _, _ in imports(p) if name.split(".")[0] == "torch"
    ]
    fail("a report is made from a run folder, without torch:", offenders)


@pytest.mark.parametrize("name", ["elboroom", "elboroom.cli.main", "elboroom.report", "elboroom.core.registry"])
def test_importing_it_brings_no_torch(name: str) -> None:
    code = f"import {name}, sys; print(*{{'torch', 'numpy', 'scipy', 'sklearn'}} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    allowed = {"numpy"} if name == "elboroom.report" else set()
    assert set(done.stdout.split()) <= allowed, f"import {name} also imports {done.stdout}"


def test_importing_elboroom_loads_the_standard_library_only() -> None:
    code = (
        "import sys, sysconfig; before = set(sys.modules); import elboroom; folder = sysconfig.get_paths()['purelib'];"
        "print(*sorted(m for m in set(sys.modules) - before"
        " if str(getattr(sys.modules[m], '__file__', '')).startswith(folder)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_files_and_functions_keep_their_budgets() -> None:
    offenders = []
    for path in sources():
        lines = len(path.read_text(encoding="utf-8").splitlines())
        limit = MODEL_LINES if part(path) == "models" else FILE_LINES
        if lines > limit:
            offenders.append(f"{path.relative_to(ROOT)}: {lines} lines, budget {limit}: look for the second subject")
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                length = (node.end_lineno or node.lineno) - node.lineno + 1
                if length > FUNCTION_LINES:
                    offenders.append(f"{where(path, node)}: {node.name} has {length} lines, budget {FUNCTION_LINES}")
    fail("a budget is a smoke alarm; when it rings, look for the second subject:", offenders)


def test_constructors_take_at_most_a_dozen_arguments() -> None:
    offenders = []
    for path in sources():
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.ClassDef):
                continue
            for item in node.body:
                if isinstance(item, ast.FunctionDef) and item.name == "__init__":
                    given = item.args
                    count = len([*given.posonlyargs, *given.args, *given.kwonlyargs]) - 1
                    if count > CONSTRUCTOR_ARGUMENTS:
                        offenders.append(f"{where(path, item)}: {node.name} takes {count}")
    fail(f"a constructor takes at most {CONSTRUCTOR_ARGUMENTS} arguments; a group of them is an object:", offenders)


def test_every_file_says_what_it_is_and_what_it_offers() -> None:
    offenders = []
    for path in sources():
        if not ast.get_docstring(tree(path)):
            offenders.append(f"{path.relative_to(ROOT)}: no docstring")
        assigned = {
            t.id for n in tree(path).body if isinstance(n, ast.Assign) for t in n.targets if isinstance(t, ast.Name)
        }
        if path.name not in ("__init__.py", "__main__.py") and "__all__" not in assigned:
            offenders.append(f"{path.relative_to(ROOT)}: no __all__")
    fail("a file begins with what it is and lists its public names:", offenders)


def test_no_import_of_a_module_puts_it_in_the_place_of_a_public_name() -> None:
    """Importing elboroom.x sets the attribute x of the package: a function of that name would be gone."""
    modules = sorted(module(p) for p in sources() if part(p) not in ("__main__", "cli"))
    code = f"""
import importlib, types, elboroom
for name in {modules!r}:
    importlib.import_module(name)
found = {{n: getattr(elboroom, n) for n in elboroom.__all__}}
print(*(n for n, x in found.items() if isinstance(x, types.ModuleType) and not callable(x)))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    fail("these names of the package are modules that cannot be called once they were imported:", done.stdout.split())


def test_no_file_is_called_after_nothing() -> None:
    empty = re.compile(r"(^|_)(utils?|helpers?|misc|manager|handler|common|base2)($|_)")
    fail("name a file after its subject:", [str(p.relative_to(ROOT)) for p in sources() if empty.search(p.stem)])


def model_names() -> dict[str, str]:
    """File name -> class name of each model."""
    found = {}
    for path in sources("models"):
        if not path.stem.startswith("_"):
            listed = [
                n for n in tree(path).body if isinstance(n, ast.Assign) and ast.unparse(n.targets[0]) == "__all__"
            ]
            found[path.stem] = str(ast.literal_eval(listed[0].value)[0])
    return found


def docstrings(root: ast.Module) -> set[ast.AST]:
    """Every bare string: docstrings of files, classes, functions and fields."""
    return {n.value for n in ast.walk(root) if isinstance(n, ast.Expr) and isinstance(n.value, ast.Constant)}


def test_no_file_outside_models_names_a_model() -> None:
    files, classes = set(model_names()), set(model_names().values())
    extractors = {PACKAGE / "extractors" / "labels.py": "classifier", PACKAGE / "cli" / "measuring.py": "classifier"}
    word = re.compile(r"\b(" + "|".join(sorted(files)) + r")\b" if files else r"(?!)")
    offenders = []
    for path in (p for p in sources() if part(p) != "models"):
        prose = docstrings(tree(path))
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in prose:
                found = word.search(node.value)
                if found and found.group() != extractors.get(path):  # an extractor of features has that name, too
                    offenders.append(f"{where(path, node)}: the text names {found.group()}")
            elif isinstance(node, ast.Name) and node.id in classes:
                offenders.append(f"{where(path, node)}: {node.id}")
            elif isinstance(node, ast.ImportFrom | ast.Import):
                named = {a.name.split(".")[-1] for a in node.names} | {
                    (getattr(node, "module", "") or "").split(".")[-1]
                }
                offenders += [f"{where(path, node)}: imports {n}" for n in named & (files | classes)]
    fail("choose by ability, never by name:", offenders)


# STYLE 5 and the rules that let one model file run eager, compiled, stacked and shared; each with its reason.
IN_MODELS = {
    "item": "reads the device from the host",
    "backward": "the engine takes gradients",
    "zero_grad": "the engine takes gradients",
    "step": "the engine steps the optimiser",
    "one_hot": "reads the device from the host; compare with torch.arange",
    "cuda": "the engine places tensors",
    "cpu": "the engine places tensors",
    "numpy": "reads the device from the host",
    "tolist": "reads the device from the host",
    "nonzero": "its shape depends on data",
    "bernoulli": "the probability depends on data: torch.rand_like(p) < p",
    "bernoulli_": "the probability depends on data: torch.rand_like(p) < p",
    "view": "fails after permuted layouts under vmap: reshape",
    "lerp_": "has no batching rule",
    "addcmul_": "has no batching rule",
    "float": "promote_types(x.dtype, torch.float32) keeps float64 exact",
    "requires_grad_": "gradients are taken of the phase's own parameters",
    "print": "no output under models/",
    "tqdm": "no output under models/",
    "hasattr": "choose by polymorphism",
}


def called(node: ast.Call) -> str:
    function = node.func
    return function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")


def test_model_files_hold_no_call_the_engine_could_not_trace() -> None:
    offenders = []
    for path in sources("models"):
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call):
                continue
            name = called(node)
            builtin_float = name == "float" and isinstance(node.func, ast.Name)
            if name in IN_MODELS and not builtin_float:
                offenders.append(f"{where(path, node)}: {name}: {IN_MODELS[name]}")
            if any(k.arg == "out" for k in node.keywords):
                offenders.append(f"{where(path, node)}: out= has no batching rule")
            moved = [*node.args, *(k.value for k in node.keywords)]
            if name == "to" and any(re.search(r"device|cuda|cpu", ast.unparse(a)) for a in moved):
                offenders.append(f"{where(path, node)}: .to(device): the engine places tensors")
    fail("a model file is traced, compiled and mapped; these calls break that:", offenders)


def test_only_the_engines_runtime_seeds_torch() -> None:
    shared = re.compile(
        r"default_generator|^torch\.(random\.)?(manual_seed|seed|set_rng_state)$|^(np\.|numpy\.)?random\.seed$"
    )
    offenders = [
        f"{where(path, node)}: {ast.unparse(node.func)}"
        for path in sources()
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Call) and path != PACKAGE / "engine" / "runtime.py"
        if shared.search(ast.unparse(node.func)) or (called(node) == "manual_seed" and part(path) == "models")
    ]
    fail("chance is seeded in engine/runtime.py and nowhere else:", offenders)


CODE = {"pickle", "dill", "joblib", "shelve", "marshal", "cloudpickle", "tarfile", "requests"}
NETWORK = {"urllib.request", "http.client", "socket", "ftplib"}


def test_no_file_is_read_in_a_form_that_can_carry_code() -> None:
    offenders = []
    for path in sources():
        for node, name, _, _ in imports(path):
            if name.split(".")[0] in CODE:
                offenders.append(f"{where(path, node)}: imports {name}")
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call):
                continue
            text = ast.unparse(node.func)
            keywords = {k.arg: ast.unparse(k.value) for k in node.keywords if k.arg in ("allow_pickle", "shell")}
            if (
                text in ("eval", "exec", "torch.load", "torch.save", "yaml.load", "os.system")
                or called(node) == "extractall"
            ):
                offenders.append(f"{where(path, node)}: {text}")
            if text in ("np.load", "numpy.load") and keywords.get("allow_pickle") != "False":
                offenders.append(f"{where(path, node)}: np.load without allow_pickle=False")
            if keywords.get("shell") == "True":
                offenders.append(f"{where(path, node)}: shell=True")
    fail("safetensors, JSON and plain arrays only; nothing that runs code when read:", offenders)


def test_only_the_catalogue_of_data_talks_to_a_network() -> None:
    allowed = {PACKAGE / "data" / "catalog.py", PACKAGE / "data" / "download.py", PACKAGE / "artifacts" / "run.py"}
    offenders = [
        f"{where(path, node)}: imports {name}"
        for path in sources()
        for node, name, _, _ in imports(path)
        if name in NETWORK and path not in allowed and part(path) not in ("serve", "studio", "web")
    ]
    fail("only data/catalog.py downloads:", offenders)


def test_artifacts_is_the_one_door_for_writing() -> None:
    """A path called `place` is what `files.output` gave: whatever is made there appears whole or not at all."""
    offenders = []
    for path in (p for p in sources() if part(p) != "artifacts" and p != PACKAGE / "data" / "catalog.py"):
        for node in ast.walk(tree(path)):
            if not isinstance(node, ast.Call):
                continue
            name = called(node)
            texts = [a.value for a in [*node.args, *(k.value for k in node.keywords)] if isinstance(a, ast.Constant)]
            opens = name in ("open", "fdopen") and any(
                isinstance(t, str) and re.fullmatch(r"[wax]b?\+?t?|r\+b?|rb\+", t) for t in texts
            )
            writes = name in ("write_text", "write_bytes") and isinstance(node.func, ast.Attribute)
            given = r"(files|artifacts\.files|outputs)\.|\(?place\b|(zipfile|os\.fdopen\(handle)"
            if (opens or writes) and not re.match(given, ast.unparse(node)):
                offenders.append(f"{where(path, node)}: {ast.unparse(node)}")
    fail("only artifacts writes; use artifacts.files, or artifacts.files.output() for what a user named:", offenders)


def declared(extra: str | None = None) -> set[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = project["dependencies"] if extra is None else project["optional-dependencies"][extra]
    return {re.split(r"[<>=\[ ;]", line)[0].lower() for line in lines}


def test_every_imported_package_is_declared_and_every_declared_one_is_imported() -> None:
    names = {k: {v.lower() for v in vs} for k, vs in packages_distributions().items()}
    used = (
        {n.split(".")[0] for p in sources() for _, n, _, _ in imports(p)} - set(sys.stdlib_module_names) - {"elboroom"}
    )
    brought = {d for top in used for d in names.get(top, {top.lower()})}
    core, extras = declared(), set[str]().union(*map(declared, ("data", "bio", "onnx", "text", "studio")))
    assert brought <= core | extras, f"imported, not declared in pyproject.toml: {sorted(brought - core - extras)}"
    through = {"onnxscript", "onnxruntime", "onnx"}  # torch's own exporter imports the first two for us
    unused = (core | extras) - brought - through
    assert not unused, f"declared in pyproject.toml, never imported: {sorted(unused)}"


def test_every_dependency_has_its_reason_in_the_documentation() -> None:
    page = (ROOT / "docs" / "dependencies.md").read_text(encoding="utf-8").lower()
    lines = declared().union(*map(declared, ("data", "bio", "onnx", "text", "studio", "test", "lint")))
    missing = sorted(d for d in lines if f"`{d}`" not in page)
    assert not missing, f"docs/dependencies.md gives no reason for {missing}"


def test_no_file_names_the_machine_it_was_written_on() -> None:
    written = [p for p in ROOT.iterdir() if p.is_file() and p.suffix in (".md", ".toml", ".txt", "")]
    for folder in ("src", "tests", "docs", "examples", "benchmarks", ".ci"):
        written += [
            p for p in (ROOT / folder).rglob("*") if p.suffix in (".py", ".md", ".toml", ".json", ".html", ".txt", "")
        ]
    places = [f"{folder}/" for folder in (ROOT, Path.home()) if len(folder.parts) > 1]
    offenders = []
    for path in (p for p in written if p.is_file()):
        text = path.read_text(encoding="utf-8", errors="replace")
        if any(place in text for place in places):
            offenders.append(str(path.relative_to(ROOT)))
    fail("a path of one machine means nothing on another:", offenders)
