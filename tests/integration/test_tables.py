"""Do files take the raw columns of a table, and answer as the model: gaps, unknown categories, 8 bits, ONNX?"""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import Edgepack, read_json

from edgepack.contracts import ExportContext, TechniqueContext
from edgepack.dataset import Dataset, SplitName
from edgepack.recipe import Recipe

# TensorFlow, Keras and TFMOT warn of their own futures on import and when they save.
pytestmark = pytest.mark.filterwarnings("ignore")

SHAPES = ("fine", "middle", "größer")


def tumours() -> str:
    """Real measurements from thousandths to thousands, one of them in three categories; some are missing."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    measured = dict(zip(found.feature_names, found.data.T, strict=True))
    area, error, points = (measured[name] for name in ("worst area", "smoothness error", "worst concave points"))
    texture = np.digitize(measured["mean texture"], [17, 21])
    gaps = np.random.default_rng(1).random((len(area), 3)) < (0.1, 0.1, 0.05)
    lines = ["area,texture,error,points,kind"]
    for row, kind in enumerate(found.target):
        values = (f"{area[row]:g}", SHAPES[texture[row]], f"{error[row]:g}")
        shown = ["" if gap else value for gap, value in zip(gaps[row], values, strict=True)]
        lines.append(",".join([*shown, f"{points[row]:g}", found.target_names[kind]]))
    return "\n".join(lines) + "\n"


def recipe(data: dict[str, Any], **keys: Any) -> Recipe:
    return Recipe.model_validate(
        {
            "name": "table",
            "data": data,
            "model": {"zoo": "mlp", "args": {"units": [16, 8]}},
            "training": {"epochs": 8, "batch_size": 32, "learning_rate": 0.02},
            "export": [{"format": "tflite", "precision": "int8"}],
            "targets": ["linux-amd64-cpu"],
            **keys,
        }
    )


@dataclass(frozen=True)
class Made:
    """A trained model of a table, the data, and its files by name."""

    data: Dataset
    model: Any
    quantised: Any
    files: dict[str, Path]
    context: ExportContext

    def answer(self, name: str, x: Any) -> Any:
        """Outputs of a file as real numbers."""
        from edgepack.runner.infer import predict
        from edgepack.runner.sessions import for_file, open_session

        with open_session(for_file(self.files[name]), self.files[name], 1) as session:
            return predict(session, x)[1]

    def accuracy(self, outputs: Any) -> float:
        return float(np.mean(np.asarray(outputs).argmax(-1) == self.data.targets("test")))


def make(chosen: Recipe, base: Path, folder: Path) -> Made:
    """Train, quantise, convert: what the stages do, in this process."""
    import tf_keras

    from edgepack.formats import onnx, tflite
    from edgepack.keras_models.load import load
    from edgepack.keras_models.save import save
    from edgepack.stages.data import prepare
    from edgepack.stages.request import Request
    from edgepack.stages.train import fresh_model
    from edgepack.techniques import qat
    from edgepack.training.fit import fit

    data = prepare(chosen, base).data
    tf_keras.utils.set_random_seed(0)
    model = fresh_model(Request(chosen, base, folder, {}, False, lambda _: None), data).model
    fit(
        model,
        data,
        chosen.training,
        epochs=chosen.training.epochs or 0,
        learning_rate=chosen.training.learning_rate,
        schedule=chosen.training.schedule,
        seed=0,
        progress=lambda _: None,
        label="test",
    )
    step = qat.apply(
        model, data, qat.Config(epochs=1, monitor=False), context=TechniqueContext(chosen.training, 0, lambda _: None)
    )
    save(model, folder / "float.h5")
    save(step.model, folder / "quantised.h5")
    files: dict[str, Path] = {}

    def other(kind: str, precision: Any) -> Path:
        return files["qat.int8.tflite"]

    after = ExportContext(folder / "float.h5", None, data.calibration(128), other, "test")
    trained = ExportContext(folder / "float.h5", folder / "quantised.h5", data.calibration(128), other, "test")
    for name, module, precision, context in (
        ("float32.tflite", tflite, "float32", after),
        ("float32.onnx", onnx, "float32", after),
        ("int8.tflite", tflite, "int8", after),
        ("qat.int8.tflite", tflite, "int8", trained),
        ("qat.int8.onnx", onnx, "int8", trained),
    ):
        files[name] = folder / name
        module.convert(module.Config(precision=precision), files[name], context=context)
    return Made(data, load(folder / "float.h5"), load(folder / "quantised.h5"), files, after)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """Numbers of very different sizes with gaps, and a category with gaps."""
    folder = tmp_path_factory.mktemp("mixed")
    (folder / "tumours.csv").write_text(tumours(), encoding="utf-8")
    return make(recipe({"csv": "tumours.csv", "target": "kind"}), folder, folder)


def corners(data: Dataset) -> Any:
    """Test samples, each also without one value, and with every code of the category, the unknown one included."""
    x = np.repeat(data.inputs("test")[:4], 4 + 5, axis=0)
    for place in range(4):
        x[place::9, place] = np.nan
    for code in range(5):
        x[4 + code :: 9, 1] = code
    return x


def test_the_layer_computes_what_keras_normalization_learns_from_training_samples(mixed: Made) -> None:
    import tf_keras

    data = mixed.data
    numbers = [column for column in data.columns if column.type == "number"]

    def filled(split: SplitName) -> Any:
        values = data.inputs(split)[:, [0, 2, 3]]
        return np.where(np.isnan(values), [np.float32(column.fill) for column in numbers], values)

    normalization = tf_keras.layers.Normalization()
    normalization.adapt(filled("train"))
    features = mixed.model.get_layer("columns")(data.inputs("test")).numpy()
    np.testing.assert_allclose(features[:, :3], normalization(filled("test")).numpy(), rtol=1e-3, atol=2e-4)


def test_gaps_and_categories_become_features(mixed: Made) -> None:
    columns = mixed.data.columns
    assert [column.name for column in columns] == ["area", "texture", "error", "points"]
    assert columns[1].vocabulary == ("fine", "größer", "middle")
    fill = [(columns[place].fill - columns[place].mean) / columns[place].deviation for place in (0, 2, 3)]
    nan = float("nan")
    raw = np.array([[nan, 0, nan, nan], *([800, code, 0.01, 0.1] for code in (2, 3, 4, nan))], np.float32)
    features = mixed.model.get_layer("columns")(raw).numpy()
    np.testing.assert_allclose(features[0, :3], fill, atol=1e-5)
    unknown, missing = [0, 0, 0, 0], [0, 0, 0, 1]
    np.testing.assert_array_equal(features[:, 3:], [[1, 0, 0, 0], [0, 0, 1, 0], unknown, missing, missing])


@pytest.mark.parametrize("name", ["float32.tflite", "float32.onnx"])
def test_float_files_answer_as_the_model(mixed: Made, name: str) -> None:
    x = corners(mixed.data)
    np.testing.assert_allclose(mixed.answer(name, x), mixed.model(x).numpy(), atol=1e-5)


@pytest.mark.parametrize(("name", "source"), [("int8.tflite", "model"), ("qat.int8.tflite", "quantised")])
def test_integer_files_answer_as_the_model(mixed: Made, name: str, source: str) -> None:
    x = corners(mixed.data)
    expected = getattr(mixed, source)(x).numpy()
    assert np.abs(mixed.answer(name, x) - expected).max() < 0.06
    unknown = x[7:8]
    assert unknown[0, 1] == mixed.data.columns[1].unknown
    for code in (0, 1, 2, 4):  # the float model tells them apart, so must the file
        other = unknown.copy()
        other[0, 1] = code
        moved = getattr(mixed, source)(other).numpy() - getattr(mixed, source)(unknown).numpy()
        assert np.abs(mixed.answer(name, other) - mixed.answer(name, unknown) - moved).max() < 0.06


def test_integers_begin_behind_the_raw_columns(mixed: Made) -> None:
    from edgepack.tflite_models.contents import kernels, open_plain

    for name in ("int8.tflite", "qat.int8.tflite"):
        content = mixed.files[name].read_bytes()
        interpreter = open_plain(content)
        (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
        assert (source["dtype"], list(source["shape"])) == (np.float32, [1, 4])
        assert target["dtype"] == np.int8
        operations = [operation["op_name"] for operation in interpreter._get_ops_details()]
        assert operations.count("QUANTIZE") == 1 and "DEQUANTIZE" not in operations
        begin = operations.index("QUANTIZE")
        assert set(operations[begin + 1 :]) == {"FULLY_CONNECTED", "SOFTMAX"}
        assert "FULLY_CONNECTED" not in operations[:begin]
        assert [kernel.values.dtype for kernel in kernels(content)] == [np.int8] * 3


def test_eight_bits_cost_no_accuracy_on_raw_columns(mixed: Made) -> None:
    x = mixed.data.inputs("test")
    for name, source in (("int8.tflite", "model"), ("qat.int8.tflite", "quantised"), ("qat.int8.onnx", "quantised")):
        wanted = mixed.accuracy(getattr(mixed, source)(x))
        assert wanted > 0.9
        assert mixed.accuracy(mixed.answer(name, x)) >= wanted - 0.02, name


def test_onnx_holds_the_integers_of_the_tflite(mixed: Made) -> None:
    x = corners(mixed.data)
    one_step = 1 / 256
    assert np.abs(mixed.answer("qat.int8.onnx", x) - mixed.answer("qat.int8.tflite", x)).max() <= 4 * one_step


def test_formats_that_would_spoil_raw_columns_are_refused(mixed: Made, tmp_path: Path) -> None:
    from edgepack.errors import ConversionError
    from edgepack.formats import tflite

    def convert(precision: Any) -> None:
        tflite.convert(tflite.Config(precision=precision), tmp_path / "file", context=mixed.context)

    with pytest.raises(ConversionError, match="int16x8 was asked for, but the first layer of a model of raw columns"):
        convert("int16x8")
    convert("float16")
    mixed.files["float16"] = (tmp_path / "file").rename(tmp_path / "model.float16.tflite")
    x = corners(mixed.data)
    assert np.abs(mixed.answer("float16", x) - mixed.model(x).numpy()).max() < 0.02


@pytest.mark.parametrize(("mean", "deviation"), [(1e6, 1e5), (1000.3, 0.1), (0.0, 1e-8)])
def test_columns_that_sixteen_bits_cannot_hold_are_refused(tmp_path: Path, mean: float, deviation: float) -> None:
    import tf_keras

    from edgepack.columns import Column
    from edgepack.errors import ConversionError
    from edgepack.formats import tflite
    from edgepack.keras_models.save import save
    from edgepack.keras_models.table import put_in_front

    core = tf_keras.Sequential([tf_keras.layers.InputLayer((1,)), tf_keras.layers.Dense(2)])
    column = Column("height", "number", fill=mean, mean=mean, deviation=deviation)
    save(put_in_front(core, [column]), tmp_path / "model.h5")
    context = ExportContext(tmp_path / "model.h5", None, np.zeros((0,)), lambda kind, precision: Path(), "test")
    with pytest.raises(ConversionError, match=r"cannot hold the mean .* of the column 'height'"):
        tflite.convert(tflite.Config(precision="float16"), tmp_path / "file", context=context)


def test_channels_are_pruned_and_sparsity_survives_behind_the_columns(mixed: Made) -> None:
    from edgepack.keras_models.table import columns_of
    from edgepack.techniques import prune, prune_channels

    context = TechniqueContext(recipe({"sklearn": "iris"}).training, 0, lambda _: None)
    narrow = prune_channels.apply(
        mixed.model,
        mixed.data,
        prune_channels.Config(epochs=0, goal={"macs": 0.6}, multiple_of=1),  # type: ignore[arg-type]
        context=context,
    )
    assert narrow.model.count_params() < mixed.model.count_params()
    assert columns_of(narrow.model) == mixed.data.columns
    pruned = prune.apply(mixed.model, mixed.data, prune.Config(epochs=1, sparsity=0.5), context=context)
    assert columns_of(pruned.model) == mixed.data.columns
    kernel = pruned.model.get_layer("hidden0").kernel.numpy()
    assert np.mean(kernel == 0) >= 0.5


def test_a_saved_model_takes_only_the_columns_that_it_was_trained_on(mixed: Made) -> None:
    from edgepack.errors import RecipeError
    from edgepack.keras_models.table import check_columns

    check_columns(mixed.model, mixed.data)
    other = replace(mixed.data.columns[1], vocabulary=("fine", "middle", "größer"))
    given = replace(mixed.data, columns=(mixed.data.columns[0], other))
    with pytest.raises(RecipeError, match="takes 4 raw columns, the data have 2; the first that differs is 'texture'"):
        check_columns(mixed.model, given)


RECIPE = """
data:
  csv: tumours.csv
  target: kind
  DATA
model: {zoo: mlp, args: {units: [8]}}
export: [{format: tflite, precision: float32}]
targets: [linux-amd64-cpu]
"""


def written(folder: Path, data: str) -> Path:
    (folder / "tumours.csv").write_text(tumours(), encoding="utf-8")
    path = folder / "recipe.yaml"
    path.write_text(RECIPE.replace("DATA", data))
    return path


def test_the_data_stage_chooses_within_the_budget_and_again_the_same(tmp_path: Path, edgepack: Edgepack) -> None:
    path = written(tmp_path, "select_features: {use: rfe, budget: 3.5, costs: {area: 2, points: 2.5, error: 4}}")
    left = []
    for name in ("out", "again"):
        done = edgepack("run", path, "--to", "data", "--out", tmp_path / name)
        assert done.returncode == 0, done.stderr
        left += sorted((tmp_path / name).glob("*/cache/data-*"))
    first, second = left
    for name in ("selection.json", "data.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    selection = read_json(first / "selection.json")
    assert (selection["use"], selection["budget"]) == ("rfe", 3.5)
    ranks = {column["name"]: column["rank"] for column in selection["columns"]}
    assert ranks == {"points": 1, "area": 2, "texture": 3, "error": None}
    assert [column["name"] for column in selection["columns"] if column["chosen"]] == ["texture", "points"]
    assert selection["cost"] == 3.5  # area would make it 4.5
    columns = read_json(first / "data.json")["columns"]
    assert [(column["name"], column["cost"]) for column in columns] == [("texture", 1.0), ("points", 2.5)]


@pytest.mark.parametrize(
    ("data", "message", "fix"),
    [
        ("table: {columns: {aera: {type: number}}}", "data.table.columns: the table has no column 'aera'", "'area'"),
        ("select_features: {use: rfe, budget: 0.5}", "no column fits the budget of 0.5", "raise the budget"),
        ("labels: [malignant, benign, none]", "no training sample is of the class 'none', of 399", "more samples"),
    ],
)
def test_what_is_wrong_with_columns_is_one_sentence(
    tmp_path: Path, edgepack: Edgepack, data: str, message: str, fix: str
) -> None:
    done = edgepack("run", written(tmp_path, data), "--to", "data", "--out", tmp_path / "out")
    assert done.returncode == 2
    assert message in done.stderr
    assert fix in done.stderr
    assert "Traceback" not in done.stderr
