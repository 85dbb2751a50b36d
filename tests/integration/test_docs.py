"""Is what the documents tell a reader to type, write or expect true?"""

import ast
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, get_args

import numpy as np
import pytest
from support import ROOT, TIMEOUT_S, Edgepack, read_json

from edgepack import extensions, yamlfile
from edgepack import recipe as recipes
from edgepack import target as targets
from edgepack.config import Config, validate
from edgepack.images import engine

PAGES = sorted(
    [
        ROOT / "README.md",
        ROOT / "CONTRIBUTING.md",
        ROOT / "targets" / "README.md",
        *(ROOT / "docs").rglob("*.md"),
        *(ROOT / "examples").glob("*/README.md"),
    ]
)
BLOCK = re.compile(r"(?:^`(?P<file>[\w./-]+)`:\n\n)?^```(?P<kind>\w+)\n(?P<text>.*?)^```$", re.MULTILINE | re.DOTALL)

RUN_ELSEWHERE = {
    r"make demo\b": "continuous integration runs it before the tests, which look at what it left",
    r"make test\b": "it runs this test",
    r"make docs\b": "test_site.py makes the same site",
    r"make (check|unit|coverage|lock|clean)\b": "`make test` runs as much; the last ones change the checkout",
    r"\.ci/run\b": "it runs this test",
    r"\S*pytest\b": "it would run the tests within the tests",
    r"python -m tests\.fuzz\b": "ten minutes, and a package that is in no lock file; tests/fuzz replays it",
    r"(edgepack serve|docker run .* serve)\b": "it serves until it is told to end; test_serving.py has it",
    r"curl\b": "it asks a server that no page leaves running; test_serving.py asks as much",
    r"git clone\b": "the tests run in a clone already",
    r"cd edgepack\b": "follows `git clone`",
    r"(sudo )?(apt-get|apt|systemctl|dockerd)\b": "changes the machine",
    r"edgepack image out/digits/android-arm64": "test_phone_image.py builds it",
    r"(sudo )?containers/base/build\b": "continuous integration runs it before the tests; it downloads packages",
    r"edgepack (image|verify|bench) out/digits/.*arm64": "test_arm64.py runs the same, which takes half a minute",
    r"edgepack image .*--push registry\.example\.com": "test_push.py pushes to a registry of its own",
    r"DOCKER_HOST=.*podman": "needs Podman",
    r"edgepack run examples/fashion_mnist/recipe\.yaml(?!.*--(smoke|to))": "twenty minutes; its smoke run is below",
    r"edgepack run examples/fashion_mnist/accurate\.yaml(?!.*--(smoke|to))": "45 minutes; its smoke run is below",
    r"edgepack run examples/anomaly/recipe\.yaml$": "minutes; test_anomalies.py has its smoke run",
    r"(edgepack \w+|ls|cat) out/fashion_mnist\b": "needs what those twenty minutes leave",
    r"edgepack run examples/transfer/base\.yaml(?!.*--smoke)": "two minutes; its smoke run is below",
    r"(cp out/base/|edgepack run examples/transfer/few_labels\.yaml(?!.*--smoke))": "needs what that leaves",
    r"edgepack run examples/breast_cancer/recipe\.yaml(?!.*--(smoke|to))": "a minute each; its smoke run is below",
    r"(edgepack \w+|ls|cat|\S*python\S* -m edgepack\.runner .*) out/breast_cancer": "needs what those minutes leave",
    r"edgepack run mine/recipe\.yaml$": "minutes; its smoke run is above",
    r"edgepack (bench|verify) .*--on \"?(ssh:|adb:|board)": "a device; the tests of these transports bring their own",
    r"docker (swarm|stack|service)\b": "tests/containers/test_swarm.py does it, and leaves no swarm behind",
    r"docker compose\b": "a plug-in that Debian's engine comes without; unit tests check the file",
    r"kubectl\b": "needs a cluster; unit tests check the files against the published schemas",
    r"chromium\b": "the machine may have none; test_report_html.py looks at the page in it",
    r"tritonserver\b": "an image of many gigabytes; test_deploy.py runs the models as they are configured",
}
"""Lines that no test here executes, as the beginning of the line, each with its reason."""

NEEDS_ENGINE = re.compile(r"^docker |^edgepack image |--on docker")

# A recipe that parts of recipes in the documents are put into.
WHOLE = {
    "data": {"sklearn": "breast_cancer"},
    "model": {"zoo": "mlp"},
    "export": [{"format": "tflite", "precision": "int8"}],
    "targets": ["linux-amd64-cpu"],
}


@dataclass(frozen=True)
class Block:
    """A fenced block: its page, its place there, its language, its text, the file that it is named as."""

    page: Path
    number: int
    kind: str
    text: str
    file: str | None

    @property
    def id(self) -> str:
        """Page and place, for the test's name."""
        return f"{self.page.relative_to(ROOT)}:{self.number}"


def _blocks(*kinds: str) -> list[Any]:
    found = []
    for page in PAGES:
        for number, match in enumerate(BLOCK.finditer(page.read_text()), 1):
            if match["kind"] in kinds:
                block = Block(page, number, match["kind"], match["text"], match["file"])
                found.append(pytest.param(block, id=block.id))
    return found


@pytest.fixture(scope="module")
def folders() -> dict[Path, Path]:
    """One working folder per page, so that the commands of a page follow one another and harm no other page."""
    return {}


@pytest.fixture
def folder(folders: dict[Path, Path], block: Block, digits_out: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What a reader of a page has: examples, targets and the results of the demo."""
    if block.page not in folders:
        made = tmp_path_factory.mktemp("page")
        for name in ("examples", "targets"):
            shutil.copytree(ROOT / name, made / name)
        # Archives are replaced, never written into: a link is as good as a copy.
        shutil.copytree(
            digits_out / "digits",
            made / "out" / "digits",
            copy_function=lambda a, b: os.link(a, b) if str(a).endswith(".tar") else shutil.copy2(a, b),
        )
        for match in BLOCK.finditer(block.page.read_text()):
            if match["file"] and match["kind"] == "python":
                (made / match["file"]).parent.mkdir(parents=True, exist_ok=True)
                (made / match["file"]).write_text(match["text"])
        folders[block.page] = made
    return folders[block.page]


@pytest.mark.parametrize("block", _blocks("sh"))
def test_commands_do_what_the_page_shows(block: Block, folder: Path) -> None:
    for line in _lines(block.text):
        if _reason(line):
            continue
        if NEEDS_ENGINE.search(line) and not _engine_answers():
            continue
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", line],
            cwd=folder,
            env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
        assert done.returncode == 0, f"{block.id}: {line}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}"


@pytest.fixture(scope="module", autouse=True)
def _images_of_this_test() -> Iterator[None]:
    """Take away the names that commands of the documents gave to images."""
    yield
    if engine.available():
        with closing(engine.connect()) as client:
            if any("edgepack/digits:candidate" in image.tags for image in client.images.list()):
                client.images.remove("edgepack/digits:candidate")


@pytest.mark.parametrize("block", _blocks("sh"))
def test_no_command_names_a_folder_of_some_machine(block: Block) -> None:
    absolute = re.findall(r"(?:^|[\s='\"])(/(?!dev/|usr/share/)\w[\w./-]*)", block.text)
    assert not absolute


@pytest.mark.parametrize("block", [item for item in _blocks("yaml") if item.values[0].file is None])
def test_yaml_is_accepted(block: Block, tmp_path: Path) -> None:
    document = yamlfile.parse(block.text, source=block.id)
    if "platform" in document.content:
        path = tmp_path / "target.yaml"
        path.write_text(block.text)
        assert targets.load(str(path)).runtimes
        return
    _recipe({**WHOLE, **document.content}, block.id)


def test_defaults_that_the_recipe_page_shows_are_the_defaults() -> None:
    shown: dict[str, Any] = {}
    for item in _blocks("yaml"):
        block = item.values[0]
        if block.page.name == "recipe.md":
            # The first block about a section shows its defaults, later ones show what else it may say.
            shown = {**yamlfile.parse(block.text, source=block.id).content, **shown}
    plain = _recipe({**WHOLE, "compress": [{"use": step["use"]} for step in shown["compress"]]}, "plain")
    full = _recipe({**WHOLE, "compress": shown["compress"]}, "full")
    assert full.resolved()["compress"] == plain.resolved()["compress"]
    for step, default in zip(shown["compress"], plain.resolved()["compress"], strict=True):
        assert step == default
    assert shown["bench"] == plain.resolved()["bench"]
    assert {**shown["verify"], "samples": None} == plain.resolved()["verify"]
    text = (ROOT / "docs" / "recipe.md").read_text()
    training = plain.resolved()["training"]
    assert training.pop("epochs") == 10
    augment = training.pop("augment")
    assert (augment.pop("flip"), augment.pop("edges")) == (False, "zeros")
    assert set(augment.values()) == {0}
    assert training.pop("batch_normalization") == {"momentum": None, "synchronized": True}
    assert training.pop("schedule") == {"use": "constant"}
    for key, value in training.items():
        if value is None:
            assert re.search(rf"^  {key}: .*(absent|default: (none|never))\b", text, re.MULTILINE), key
            continue
        shown_value = str(value).lower() if isinstance(value, bool) else str(value)
        assert re.search(rf"^  {key}: .*default: {re.escape(shown_value)}\b", text, re.MULTILINE), f"{key}: {value}"
    for key, value in plain.resolved()["data"]["split"].items():
        assert value == 0.15, key


def test_every_key_of_a_recipe_is_explained(edgepack: Edgepack) -> None:
    text = (ROOT / "docs" / "recipe.md").read_text()
    schema = json.loads(edgepack("schema", "recipe").stdout)
    keys = {key for model in [schema, *schema["$defs"].values()] for key in model["properties"]}
    assert keys >= {"sparsity", "calibration_samples", "opset", "min_runs"}
    assert not [key for key in sorted(keys) if not re.search(rf"\b{key}\b", text)]


def test_every_field_of_a_target_is_explained_with_its_default() -> None:
    text = (ROOT / "targets" / "README.md").read_text()
    fields = text.partition("## Fields")[2].partition("\n## ")[0]
    shown = set(re.findall(r"^\| `([\w.-]+)` \| .* \|$", fields, re.MULTILINE))
    assert shown == _fields(targets.Target) - {"name"}
    assert set(targets.shipped()) <= set(re.findall(r"^\| `([\w.-]+)` \|", text, re.MULTILINE))


def test_every_key_of_a_targets_firmware_is_explained() -> None:
    text = (ROOT / "targets" / "README.md").read_text()
    rows = re.findall(r"^\| (`.*?) \|", text.partition("| key of `firmware` |")[2].partition("\n## ")[0], re.MULTILINE)
    kinds = [extensions.load("edgepack.firmware", name) for name in extensions.names("edgepack.firmware")]
    expected = {"use"}.union(*(_fields(kind.Config) for kind in kinds))
    assert {key for row in rows for key in re.findall(r"`(\w+)`", row)} == expected


def test_every_message_in_troubleshooting_is_one_of_ours() -> None:
    text = (ROOT / "docs" / "troubleshooting.md").read_text()
    cells = re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)
    quoted = [fragment for cell in cells for fragment in re.findall(r"`([^`]+)`", cell)]
    quoted += re.findall(r"`([^`]*: [^`]+)`", text.partition("## Exit code 130")[2].partition("##")[0])
    assert len(quoted) > 40
    assert not [fragment for fragment in quoted if fragment not in _strings()]


def test_every_key_of_a_bundle_is_explained(digits_bundle: Path) -> None:
    text = (ROOT / "docs" / "bundle.md").read_text()
    manifest = read_json(digits_bundle / "manifest.json")
    (artifact, *_) = manifest["artifacts"]
    verification = read_json(digits_bundle / "verify.json")
    latency = read_json(digits_bundle / "latency.json")
    keys = {*manifest, *artifact, *artifact["inputs"][0], *artifact["tolerance"], "identical", "gates", "pairs"}
    keys |= {"accuracy", "drop", "source", "source_accuracy", "top1_agreement", "max_abs_error", "sqnr_db"}
    keys |= {"import_ms", "load_ms", "first_inference_ms", "peak_rss_mib", "samples_ns"}
    assert keys - {"identical", "gates", "pairs"} <= {
        *manifest, *artifact, *artifact["inputs"][0], *artifact["tolerance"],
        *verification["artifacts"][0], *latency["host"]["results"][0],
    }  # fmt: skip
    assert not [key for key in sorted(keys) if f"`{key}`" not in text]


def test_figures_of_the_digits_page_are_those_of_the_demo(digits_bundle: Path) -> None:
    """Sizes to 5 %, accuracies to four test samples: another machine trains a slightly different model."""
    text = (ROOT / "examples" / "digits" / "README.md").read_text()
    rows = re.findall(
        r"^\| `(model\.\S+)` \| [^|]+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.-]+) \|$", text, re.MULTILINE
    )
    verification = read_json(digits_bundle / "verify.json")
    found = {record["file"]: record for record in verification["artifacts"]}
    assert {row[0] for row in rows} == set(found)
    for file, size_kib, baseline, accuracy, drop in rows:
        assert float(size_kib) == pytest.approx(found[file]["size_bytes"] / 1024, rel=0.05), file
        assert float(baseline) == pytest.approx(100 * verification["baseline"]["accuracy"], abs=1.5), file
        assert float(accuracy) == pytest.approx(100 * found[file]["accuracy"], abs=1.5), file
        assert float(drop) == pytest.approx(float(baseline) - float(accuracy), abs=0.011), file


SMOKE_RUN_ELSEWHERE = {
    "anomaly": "test_anomalies.py looks into it",
    "digits": "it is the demo, and runs whole",
    "fashion_mnist": "its page shows it, and what a page shows is run above",
}


@pytest.mark.parametrize(
    "recipe",
    [path for path in sorted((ROOT / "examples").glob("*/recipe.yaml")) if path.parent.name not in SMOKE_RUN_ELSEWHERE],
    ids=lambda path: path.parent.name,
)
def test_example_runs_as_a_smoke_run(recipe: Path, tmp_path: Path, edgepack: Edgepack) -> None:
    """Up to verified bundles; images and measurements of examples are the demo's and the container tests' matter."""
    done = edgepack("run", recipe.relative_to(ROOT), "--smoke", "--to", "verify", "--out", tmp_path)
    if done.returncode == 3 and "could not be downloaded" in done.stderr:
        pytest.skip(f"{recipe.parent.name}: its data are not installed and could not be downloaded")
    assert done.returncode == 0, done.stderr
    for name in recipes.load(recipe).targets:
        assert (tmp_path / f"{recipe.parent.name}-smoke" / name / "manifest.json").is_file()


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the package with every file of `docs/extending.md` in its place, and no other change."""
    copy = tmp_path_factory.mktemp("extended")
    for name in ("edgepack", "targets", "containers"):
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for match in BLOCK.finditer((ROOT / "docs" / "extending.md").read_text()):
        assert match["file"], f"this block does not say which file it is:\n{match['text']}"
        path = copy / match["file"]
        assert not path.exists(), f"{match['file']} is there already"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(match["text"])
    return copy


def test_each_extension_of_the_guide_works_as_one_file(extended: Path) -> None:
    from sklearn.datasets import load_iris

    flowers = load_iris()
    samples = extended / "everything" / "samples"
    samples.mkdir()
    np.save(samples / "x.npy", flowers.data.astype(np.float32))
    np.save(samples / "y.npy", flowers.target)
    done = _in_copy(extended, "-m", "edgepack.cli.main", "run", "everything/recipe.yaml", "--to", "verify")
    assert done.returncode == 0, done.stderr
    folder = extended / "out" / "everything"
    manifest = read_json(folder / "gateway" / "manifest.json")
    assert {(a["file"], *a["runtimes"]) for a in manifest["artifacts"]} == {
        ("model.float32.ort", "ort"), ("model.float32.onnx", "onnxruntime"),
    }  # fmt: skip
    (step,) = read_json(folder / "run.json")["steps"]
    assert step["use"] == "clip"
    assert 0 < step["metrics"]["clipped"] < 0.5
    assert step["metrics"]["val_accuracy_after"] > 0.7
    assert {note["layer"] for note in step["layers"]} == {"features", "columns", "flatten", "softmax"}
    again = _in_copy(extended, "-m", "edgepack.cli.main", "verify", "out/everything/gateway", "--json")
    assert again.returncode == 0, again.stderr
    assert {item["runtime"] for item in json.loads(again.stdout)["golden"]} == {"ort", "onnxruntime"}
    _check_columns(extended, flowers.data[::10])
    _check_deployment(extended)


def _check_deployment(copy: Path) -> None:
    """A kind of cluster by its file's name, among those that come with edgepack."""
    words = ("deploy", "out/everything/gateway", "--kind", "systemd", "--image", "registry.example.org/flowers:1")
    done = _in_copy(copy, "-m", "edgepack.cli.main", *words, "--out", "units")
    assert done.returncode == 0, done.stderr
    (unit,) = (copy / "units" / "systemd").glob("*.container")
    assert unit.name == "everything-gateway.container"
    assert "Image=registry.example.org/flowers:1\nExec=serve\nPublishPort=8000:8000\n" in unit.read_text()


def _check_columns(copy: Path, flowers: Any) -> None:
    """The chosen columns, x2 and x3, are what the whole run is about, and what the runner takes, in any order."""
    folder = copy / "out" / "everything"
    manifest = read_json(folder / "gateway" / "manifest.json")
    assert [column["name"] for column in manifest["columns"]] == ["x2", "x3"]  # length and width of petals
    assert all(artifact["inputs"][0]["shape"][1:] == [2] for artifact in manifest["artifacts"])
    columns = read_json(folder / "run.json")["selection"]["columns"]
    assert [column["name"] for column in columns if column["chosen"]] == ["x2", "x3"]
    with np.load(folder / "gateway" / "golden.npz") as golden:
        assert golden["columns"].tolist() == ["x2", "x3"]
    words = ("-m", "edgepack.runner", "predict", "--bundle", "out/everything/gateway", "--csv", "rows.csv")
    rows = "".join(f"{flower[3]},{flower[2]}\n" for flower in flowers)
    (copy / "rows.csv").write_text("x3,x2\n" + rows)
    done = _in_copy(copy, *words)
    assert done.returncode == 0, done.stderr
    for result in json.loads(done.stdout)["results"]:
        assert np.mean(np.array(result["labels"]) == np.repeat(["0", "1", "2"], 5)) > 0.7
    (copy / "rows.csv").write_text("x3,x1\n" + rows)
    refused = _in_copy(copy, *words)
    assert refused.returncode == 2
    assert "the model takes these 2: x2, x3; 'x2' is missing" in refused.stderr


def test_tracker_of_the_guide_is_told_of_a_finished_run(extended: Path, digits_run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "digits"
    folder.mkdir()
    for name in ("run.json", "report.json"):
        shutil.copy(digits_run / name, folder)
    code = "import sys; from pathlib import Path; from edgepack.trackers import _finished, journal\n"
    code += "print(journal.track(journal.Config(), _finished.finished_run(Path(sys.argv[1]))))"
    done = _in_copy(extended, "-c", code, str(folder))
    assert done.stdout.strip() == str(tmp_path / "journal.jsonl"), done.stderr
    (line,) = (tmp_path / "journal.jsonl").read_text().splitlines()
    step = read_json(folder / "run.json")["steps"][0]
    assert json.loads(line)["1-prune/sparsity"] == step["footprint"]["sparsity"]


def test_rewrite_of_the_guide_is_made_and_proved(extended: Path) -> None:
    import tf_keras
    from tf_keras import layers

    from edgepack.keras_models.save import save

    stack = [
        layers.InputLayer((4,)),
        layers.Dense(3),
        layers.ReLU(name="one"),
        layers.ReLU(name="two"),
        layers.Dense(2),
    ]
    save(tf_keras.Sequential(stack), extended / "twice.h5")
    done = _in_copy(extended, "-m", "edgepack.cli.main", "doctor", "twice.h5", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert {row["layer"]: row["rewrite"] for row in found["layers"]}["two"] == ["repeated_relu"]
    assert [(item["rewrite"], item["made"]) for item in found["rewrites"]] == [("repeated_relu", 1)]
    assert found["rewrites"][0]["max_abs_difference"] == 0


def test_transport_of_the_guide_reaches_one_core(extended: Path) -> None:
    core = min(os.sched_getaffinity(0))
    code = "import sys; from edgepack.transports import connect\n"
    code += "with connect(sys.argv[1]) as device: print(device.run(['nproc'], timeout_s=30).stdout.strip())"
    done = _in_copy(extended, "-c", code, f"pinned:{core}")
    assert (done.stdout, done.returncode) == ("1\n", 0), done.stderr
    assert "e.g. pinned:0" in _in_copy(extended, "-c", code, "pinned:all").stderr


def test_files_of_the_guide_keep_to_our_own_rules(extended: Path) -> None:
    for match in BLOCK.finditer((ROOT / "docs" / "extending.md").read_text()):
        if match["kind"] != "python":
            continue
        for words in (["check", "--quiet"], ["format", "--quiet", "--diff"]):
            done = subprocess.run(
                [sys.executable, "-m", "ruff", *words, "--stdin-filename", str(ROOT / match["file"]), "-"],
                input=match["text"],
                capture_output=True,
                text=True,
                cwd=ROOT,
                timeout=60,
                check=False,
            )
            assert done.returncode == 0, f"{match['file']}: {done.stdout}{done.stderr}"


def _in_copy(copy: Path, *words: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, *words],
        cwd=copy,
        env={**os.environ, "PYTHONPATH": str(copy)},
        capture_output=True,
        text=True,
        timeout=TIMEOUT_S,
        check=False,
    )


def _recipe(content: dict[str, Any], source: str) -> recipes.Recipe:
    recipe = validate(recipes.Recipe, yamlfile.Document(source, content, {}))
    if recipe.training.epochs is not None:
        return recipe
    training = recipe.training.model_copy(update={"epochs": recipe.model.default_epochs})
    return recipe.model_copy(update={"training": training})


def _fields(model: type[Config], prefix: str = "") -> set[str]:
    found: set[str] = set()
    for name, field in model.model_fields.items():
        nested = next((part for part in (field.annotation, *get_args(field.annotation)) if _is_config(part)), None)
        if nested is not field.annotation:  # a value, or a part that may be absent
            found.add(prefix + name)
        if nested:
            found |= _fields(nested, f"{prefix}{name}.")
    return found


def _is_config(annotation: object) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Config)


def _lines(text: str) -> list[str]:
    """The commands of a block: continued lines joined, comments left out."""
    joined = text.replace("\\\n", " ").splitlines()
    return [line.strip() for line in joined if line.strip() and not line.lstrip().startswith("#")]


def _reason(line: str) -> str | None:
    return next((reason for start, reason in RUN_ELSEWHERE.items() if re.match(start, line)), None)


@cache
def _engine_answers() -> bool:
    status = engine.status()
    if status.version is None and os.environ.get("EDGEPACK_REQUIRE_DOCKER") == "1":
        pytest.fail(f"EDGEPACK_REQUIRE_DOCKER=1, and {status.reason}", pytrace=False)
    return status.version is not None


@cache
def _strings() -> str:
    """Every text in the package's source, one to a line; the fixed parts of f-strings count as texts."""
    nodes = [node for path in (ROOT / "edgepack").rglob("*.py") for node in ast.walk(ast.parse(path.read_text()))]
    found = [node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return "\n".join(found)
