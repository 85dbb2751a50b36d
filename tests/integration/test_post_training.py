"""Is each precision what its name says, and are the zeros, bytes and milliseconds of a step those of its file?"""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from compressing import digits
from support import Edgepack, digests, read_json

from edgepack.contracts import ExportContext, Int8, Precision, TechniqueContext
from edgepack.dataset import Dataset
from edgepack.errors import ConversionError
from edgepack.schedules import cosine
from edgepack.training.config import Training

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

PRECISIONS: tuple[Precision, ...] = ("float32", "float16", "dynamic_range", "int8", "int16x8")

RECIPE = """\
name: steps
data:
  sklearn: digits
  image_shape: [8, 8, 1]
  preprocessing: {scale: 0.0625}
model:
  zoo: mlp
  args: {units: [96]}
training: {epochs: 4, batch_size: 32, learning_rate: 0.01}
compress:
  - {use: prune, sparsity: 0.75, epochs: 1}
  - {use: int8, calibration_samples: 100}
export:
  - {format: tflite, precision: float32}
  - {format: tflite, precision: float16}
  - {format: tflite, precision: dynamic_range}
  - {format: tflite, precision: int8}
  - {format: tflite, precision: int16x8}
  - {format: onnx, precision: int8}
targets: [linux-amd64-cpu]
"""


@pytest.fixture(scope="module")
def data() -> Dataset:
    return digits(1000, 300, 497)


@pytest.fixture(scope="module")
def trained(data: Dataset) -> Any:
    """A network that learned, with 9,856 weights in its kernels, most of them in one."""
    import tf_keras

    from edgepack.training.fit import fit
    from edgepack.zoo import small_cnn

    tf_keras.utils.set_random_seed(0)
    model = small_cnn.build(small_cnn.Config(filters=(16, 64)), input_shape=(8, 8, 1), classes=10)
    for layer in model.layers:
        if "momentum" in layer.get_config():
            layer.momentum = 0.8  # so few steps would leave the statistics near where they start
    settings: dict[str, Any] = {"learning_rate": 0.01, "schedule": cosine.Config(), "seed": 0, "label": "test"}
    fit(model, data, Training(batch_size=32), epochs=6, progress=lambda _: None, **settings)
    return model


@pytest.fixture(scope="module")
def files(trained: Any, data: Dataset, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The network in every precision."""
    return convert(trained, data, tmp_path_factory.mktemp("files"), PRECISIONS)


def convert(
    model: Any, data: Dataset, folder: Path, precisions: tuple[Precision, ...], samples: int = 256
) -> dict[str, Path]:
    """A model as .tflite files."""
    from edgepack.formats import tflite
    from edgepack.keras_models.save import save

    def none(kind: str, precision: Precision) -> Path:
        raise AssertionError

    save(model, folder / "model.h5")
    context = ExportContext(folder / "model.h5", None, data.calibration(samples), none, "test")
    made = {precision: folder / f"model.{precision}.tflite" for precision in precisions}
    for precision, path in made.items():
        tflite.convert(tflite.Config(precision=precision), path, context=context)
    return made


def tensors(path: Path) -> tuple[set[str], dict[str, str], tuple[str, str]]:
    """Of a file: dtypes that its operations write, of its kernels by operation, and of input and output."""
    from edgepack.tflite_models.contents import kernels, open_plain

    interpreter = open_plain(path.read_bytes())
    details = {detail["index"]: np.dtype(detail["dtype"]).name for detail in interpreter.get_tensor_details()}
    written = {details[index] for operation in interpreter._get_ops_details() for index in operation["outputs"]}
    stored = {kernel.tensor: kernel.values.dtype.name for kernel in kernels(path.read_bytes())}
    ends = [interpreter.get_input_details(), interpreter.get_output_details()]
    return written, stored, tuple(np.dtype(end[0]["dtype"]).name for end in ends)  # type: ignore[return-value]


@pytest.mark.parametrize(
    ("precision", "written", "stored", "ends"),
    [
        ("float32", {"float32"}, ["float32"] * 3, ("float32", "float32")),
        ("float16", {"float32"}, ["float16"] * 3, ("float32", "float32")),
        # The kernels of 144 and 640 weights are too small for the converter.
        ("dynamic_range", {"float32"}, ["float32", "int8", "float32"], ("float32", "float32")),
        ("int8", {"int8"}, ["int8"] * 3, ("int8", "int8")),
        ("int16x8", {"int16", "float32"}, ["int8"] * 3, ("float32", "float32")),
    ],
)
def test_each_file_is_stored_and_computed_as_its_name_says(
    files: dict[str, Path], precision: str, written: set[str], stored: list[str], ends: tuple[str, str]
) -> None:
    found = tensors(files[precision])
    assert (found[0], list(found[1].values()), found[2]) == (written, stored, ends)


def test_only_the_last_operation_of_an_int16x8_file_gives_float(files: dict[str, Path]) -> None:
    from edgepack.tflite_models.contents import float_operations, open_plain

    content = files["int16x8"].read_bytes()
    interpreter = open_plain(content)
    (end,) = interpreter.get_output_details()
    *_, last = interpreter._get_ops_details()
    assert (last["op_name"], end["dtype"]) == ("DEQUANTIZE", np.float32)
    assert float_operations(content) == []  # it computes nothing


def test_sizes_are_those_of_the_weights(files: dict[str, Path]) -> None:
    size = {precision: path.stat().st_size for precision, path in files.items()}
    assert 0.5 < size["float16"] / size["float32"] < 0.6
    for precision in ("dynamic_range", "int8", "int16x8"):
        assert 0.25 < size[precision] / size["float32"] < 0.4, precision


@pytest.mark.parametrize(
    ("precision", "sqnr_db", "top1"),
    [
        ("float32", 100, 1.0),
        ("float16", 50, 1.0),
        ("dynamic_range", 30, 0.99),
        ("int8", 20, 0.98),
        ("int16x8", 30, 0.99),
    ],
)
def test_each_file_answers_as_keras_does(
    files: dict[str, Path], trained: Any, data: Dataset, precision: str, sqnr_db: float, top1: float
) -> None:
    from edgepack.runner.infer import predict
    from edgepack.runner.sessions import open_session
    from edgepack.runner.tasks.classification import figure
    from edgepack.verify import parity

    x, labels = data.inputs("test"), data.targets("test")
    expected = trained.predict(x, verbose=0)
    with open_session("litert", files[precision]) as session:
        _, real = predict(session, x)
    difference = parity.compare(expected, real)
    assert figure(expected, x, labels) > 0.9
    assert figure(real, x, labels) == pytest.approx(figure(expected, x, labels), abs=0.01)
    assert difference.top1_agreement >= top1
    assert difference.sqnr_db is None or difference.sqnr_db > sqnr_db


def test_a_file_of_another_precision_is_noticed(files: dict[str, Path]) -> None:
    from edgepack.tflite_models.contents import require

    content = {precision: path.read_bytes() for precision, path in files.items()}
    for precision in PRECISIONS:
        require(content[precision], precision)
    wrong: list[tuple[str, Precision, str]] = [
        ("float32", "float16", "these kernels are not float16"),
        ("float16", "float32", "these kernels are not float32"),
        ("float32", "dynamic_range", "every kernel stayed in float"),
        ("int8", "dynamic_range", "these operations give integers"),
        ("dynamic_range", "int8", "stayed in float: CONV_2D"),
        ("dynamic_range", "int16x8", "stayed in float: CONV_2D"),
        ("int8", "int16x8", "no operation is in int16"),
    ]
    for file, precision, message in wrong:
        with pytest.raises(ConversionError, match=message) as caught:
            require(content[file], precision)
        assert caught.value.fix


def test_a_model_too_small_for_dynamic_range_says_so(data: Dataset, tmp_path: Path) -> None:
    from edgepack.zoo import mlp

    model = mlp.build(mlp.Config(units=(15,)), input_shape=(8, 8, 1), classes=10)
    with pytest.raises(ConversionError, match=r"the largest has 960 weights, and the converter quantises from 1,024"):
        convert(model, data, tmp_path, ("dynamic_range",))
    assert not list(tmp_path.glob("*.tflite"))


def test_an_operation_without_an_int16_form_is_named(data: Dataset, tmp_path: Path) -> None:
    from tf_keras import Sequential, layers

    stack = [layers.InputLayer((8, 8, 1)), layers.Conv2D(4, 3), layers.PReLU(), layers.Flatten(), layers.Dense(10)]
    with pytest.raises(ConversionError, match="TensorFlow Lite has no int16x8 form of PRELU"):
        convert(Sequential(stack), data, tmp_path, ("int16x8",))


def test_more_samples_set_wider_ranges(trained: Any, data: Dataset, files: dict[str, Path], tmp_path: Path) -> None:
    from edgepack.tflite_models.contents import tensor_specs

    few = convert(trained, data, tmp_path, ("int8",), samples=2)["int8"]
    assert few.read_bytes() != files["int8"].read_bytes()
    assert tensor_specs(few.read_bytes())[0][0]["scale"] == pytest.approx(1 / 255, rel=0.01)


@pytest.mark.parametrize("name", ["float16", "dynamic_range", "int8", "int16x8"])
def test_a_step_leaves_the_model_alone_and_notes_each_layer(trained: Any, data: Dataset, name: str) -> None:
    from edgepack import extensions

    module = extensions.load("edgepack.techniques", name)
    before = [array.copy() for array in trained.get_weights()]
    context = TechniqueContext(Training(), seed=0, progress=lambda _: None)
    result = module.apply(trained, data, module.Config(), context=context)
    assert (result.model, result.quantised, result.precision) == (trained, False, name)
    for old, new in zip(before, trained.get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)
    notes = {note.layer: note for note in result.layers}
    assert len(notes) == len(trained.layers)
    assert notes["conv1"].status == "quantised"
    assert notes["conv1_bn"].status == "passed through"
    small = notes["conv0"]
    if name == "dynamic_range":
        assert (small.status, small.reason) == (
            "skipped", "its kernel has 144 weights; the converter quantises from 1,024 on",
        )  # fmt: skip
    else:
        assert small.status == "quantised"


def test_sparsity_is_that_of_the_kernels_in_the_file(trained: Any, data: Dataset, tmp_path: Path) -> None:
    import tf_keras

    from edgepack.stages.footprint import weigh

    model = tf_keras.models.clone_model(trained)
    weights = trained.get_weights()
    model.set_weights(weights)
    kernel, *rest = model.get_layer("conv1").get_weights()
    flat = kernel.flatten()
    flat[np.argsort(np.abs(flat))[: int(0.8 * flat.size)]] = 0
    model.get_layer("conv1").set_weights([flat.reshape(kernel.shape), *rest])
    sizes = [layer.get_weights()[0].size for layer in model.layers if layer.name in ("conv0", "conv1", "classifier")]
    expected = int(0.8 * flat.size) / sum(sizes)
    made = {}
    for name, source in (("whole", trained), ("pruned", model)):
        paths = convert(source, data, tmp_path, ("float32", "float16"))
        made[name] = {precision: weigh(path.read_bytes()) for precision, path in paths.items()}
    for precision in ("float32", "float16"):
        assert made["whole"][precision]["sparsity"] == 0.0
        assert made["pruned"][precision]["sparsity"] == pytest.approx(expected, abs=1e-6)
        assert made["pruned"][precision]["raw_bytes"] == made["whole"][precision]["raw_bytes"]
        assert made["pruned"][precision]["compressed_bytes"] < 0.5 * made["whole"][precision]["compressed_bytes"]


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, edgepack: Edgepack) -> Path:
    """A recipe that prunes and quantises after training, run up to its bundle; read only."""
    folder = tmp_path_factory.mktemp("run")
    (folder / "recipe.yaml").write_text(RECIPE)
    done = edgepack("run", "recipe.yaml", "--to", "verify", cwd=folder)
    assert done.returncode == 0, done.stderr
    (folder / "stderr.txt").write_text(done.stderr)
    return folder


def test_the_run_says_what_each_step_paid(run: Path) -> None:
    document = read_json(run / "out/steps/run.json")
    trained = document["training"]["footprint"]
    prune, int8 = (step["footprint"] for step in document["steps"])
    assert [item["precision"] for item in (trained, prune, int8)] == ["float32", "float32", "int8"]
    assert trained["sparsity"] < 0.01
    assert prune["sparsity"] == pytest.approx(0.75, abs=0.01)
    assert int8["sparsity"] >= prune["sparsity"], "small weights round to zero, pruned ones stay"
    assert prune["raw_bytes"] == trained["raw_bytes"]
    assert int8["raw_bytes"] < 0.5 * prune["raw_bytes"]
    assert prune["compressed_bytes"] < 0.7 * trained["compressed_bytes"]
    assert int8["compressed_bytes"] < 0.7 * prune["compressed_bytes"]
    for item in (trained, prune, int8):
        assert item["compressed_bytes"] < item["raw_bytes"]
        assert 0 < item["latency_ms"]["p50"] <= item["latency_ms"]["p90"] < 10
        assert (item["threads"], item["reason"]) == (1, None)
        assert item["runs"] >= 20
    step = document["steps"][1]
    assert (step["use"], step["precision"], step["quantised"]) == ("int8", "int8", False)
    before, after = step["metrics"]["val_accuracy_before"], step["metrics"]["val_accuracy_after"]
    assert after == pytest.approx(before, abs=0.05)


def test_the_file_that_was_weighed_is_the_file_that_is_shipped(run: Path) -> None:
    bundle = run / "out/steps/linux-amd64-cpu"
    cache = run / "out/steps/cache"
    weighed = {path.name: path for folder in cache.glob("footprint-*") for path in folder.glob("model.int8.tflite")}
    shipped = digests(bundle, ["model.int8.tflite"])
    assert digests(weighed["model.int8.tflite"].parent, ["model.int8.tflite"]) == shipped
    (pruned,) = cache.glob("footprint-1-prune-*")
    name = ["model.float32.tflite"]
    assert digests(pruned, name) == digests(bundle, name)


def test_every_precision_is_verified_and_in_the_bundle(run: Path, edgepack: Edgepack) -> None:
    bundle = run / "out/steps/linux-amd64-cpu"
    manifest = read_json(bundle / "manifest.json")
    dtypes = {a["file"]: (a["inputs"][0]["dtype"], a["outputs"][0]["dtype"]) for a in manifest["artifacts"]}
    assert dtypes == {
        **{f"model.{p}.tflite": ("float32", "float32") for p in PRECISIONS if p != "int8"},
        "model.int8.tflite": ("int8", "int8"),
        "model.int8.onnx": ("uint8", "uint8"),
    }
    verification = read_json(bundle / "verify.json")
    best = verification["baseline"]["accuracy"]
    assert best > 0.8
    pruned = next(r for r in verification["artifacts"] if r["file"] == "model.float32.tflite")["accuracy"]
    for record in verification["artifacts"]:
        assert record["source"] == "float"
        assert record["accuracy"] == pytest.approx(pruned, abs=0.03), record["file"]
    yardsticks = {pair["a"]["file"] for pair in verification["pairs"] if pair["yardstick"]}
    assert yardsticks == {"model.int8.tflite", "model.dynamic_range.tflite"}
    done = edgepack("verify", bundle, "--json", cwd=run)
    assert done.returncode == 0, done.stderr


def test_each_stage_says_how_much_memory_it_took(run: Path) -> None:
    stages = read_json(run / "out/steps/run.json")["stages"]
    peaks = {f"{stage['name']} {stage['label']}".strip(): stage["peak_mib"] for stage in stages}
    assert list(peaks) == [
        "data", "train", "footprint float", "compress 1-prune", "footprint 1-prune", "compress 2-int8",
        "footprint 2-int8", "export", "verify",
    ]  # fmt: skip
    for name, peak_mib in peaks.items():
        # TensorFlow alone takes more than 200 MiB.
        assert (peak_mib > 200) == (name not in ("data", "verify")), name
        assert 30 < peak_mib < 4000
    shown = (run / "stderr.txt").read_text()
    (line,) = [line for line in shown.splitlines() if "✓ compress 1-prune" in line]
    assert line.endswith(f", {peaks['compress 1-prune']:,.0f} MiB")


def test_measuring_again_spoils_no_later_stage(run: Path, tmp_path: Path, edgepack: Edgepack) -> None:
    copy = Path(shutil.copytree(run, tmp_path / "again"))
    for folder in (copy / "out/steps/cache").glob("footprint-2-int8-*"):
        shutil.rmtree(folder)
    done = edgepack("run", "recipe.yaml", "--to", "verify", cwd=copy)
    assert done.returncode == 0, done.stderr
    first, second = (read_json(folder / "out/steps/run.json") for folder in (run, copy))
    cached = {f"{stage['name']} {stage['label']}".strip(): stage["cached"] for stage in second["stages"]}
    assert [name for name, was in cached.items() if not was] == ["footprint 2-int8"]
    old, new = (document["steps"][1]["footprint"] for document in (first, second))
    same = ("sparsity", "raw_bytes", "compressed_bytes", "val_accuracy")
    assert [old[key] for key in same] == [new[key] for key in same]
    assert old["latency_ms"] != new["latency_ms"]


def test_a_model_without_a_file_is_not_weighed_and_says_why(data: Dataset, tmp_path: Path) -> None:
    """A recipe may ask for ONNX only: that its model is no .tflite must not end the run."""
    import tensorflow as tf
    from tf_keras import Input, Model

    from edgepack import dataset
    from edgepack.keras_models.save import save
    from edgepack.recipe import Recipe
    from edgepack.stages import footprint
    from edgepack.stages.request import Request

    for name in ("data", "model", "out"):
        (tmp_path / name).mkdir()
    dataset.save(data, tmp_path / "data")
    inputs = Input((8, 8, 1))
    save(Model(inputs, tf.math.digamma(inputs)), tmp_path / "model" / "model.h5")
    content = {"data": {"sklearn": "digits"}, "model": {"zoo": "mlp"}, "targets": ["linux-amd64-cpu"]}
    recipe = Recipe.model_validate({**content, "export": [{"format": "onnx", "precision": "float32"}]})
    folders = {name: tmp_path / name for name in ("data", "model")}
    options = {"precision": "float32", "quantised": False, "calibration_samples": 8, "threads": 1, "judged": True}
    options["int8"] = Int8().to_dict()
    request = Request(recipe, tmp_path, tmp_path / "out", folders, True, lambda _: None, options)
    assert footprint.run(request) == {}
    record = read_json(tmp_path / "out" / "footprint.json")
    assert "Digamma" in record.pop("reason")
    assert record.pop("precision") == "float32"
    assert set(record.values()) == {None}


def test_convert_makes_each_precision_or_says_what_is_missing(trained: Any, tmp_path: Path, edgepack: Edgepack) -> None:
    from edgepack.keras_models.save import save
    from edgepack.tflite_models.contents import kernels

    def words(kind: str, precision: str) -> list[Any]:
        out = tmp_path / "made" / f"{precision}.{kind}"
        return ["convert", tmp_path / "model.h5", "--format", kind, "--precision", precision, "-o", out]

    save(trained, tmp_path / "model.h5")
    assert edgepack(*words("tflite", "float16")).returncode == 0
    stored = kernels((tmp_path / "made" / "float16.tflite").read_bytes())
    assert {kernel.values.dtype.name for kernel in stored} == {"float16"}
    done = edgepack(*words("tflite", "int16x8"))
    assert (done.returncode, "int16x8 needs real samples" in done.stderr) == (3, True)
    done = edgepack(*words("onnx", "int16x8"))
    assert (done.returncode, "onnx files are not made in int16x8" in done.stderr) == (2, True)
    assert edgepack(*words("onnx", "float16")).returncode == 0
    assert sorted(path.name for path in (tmp_path / "made").iterdir()) == ["float16.onnx", "float16.tflite"]
