"""Which architectures can be quantised in training and pruned, from Keras 2 and Keras 3, here and with TFMOT alone?

    python benchmarks/coverage.py

Each architecture is trained briefly on real digits, saved by Keras 2 and by Keras 3, and goes through three recipes:
QAT, pruning (made int8 by calibration alone), and pruning followed by QAT (PQAT). A cell says how well the full-int8
``.tflite`` agrees with the fake-quantised Keras model: SQNR, top-1, and what stayed in float. Next
to it stands TFMOT as it comes: ``quantize_model`` and ``prune_low_magnitude``. Results are in
``benchmarks/results/coverage.json`` and ``docs/coverage.md``. Models that are in the results are not measured again
unless --again asks for it; after an interruption finished cells are kept.
"""

import argparse
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from edgepack.tf_environment import environment

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "out" / "benchmarks" / "coverage"
RESULTS = ROOT / "benchmarks" / "results" / "coverage.json"
TABLE = ROOT / "docs" / "coverage.md"
FORMS = ("keras2", "keras3")
LABELS = ("QAT", "pruning", "PQAT")
TIMEOUT_S = 3600

TRAINED, TESTED, BATCH = 1024, 128, 32
EPOCHS = 6
SPARSITY, PRUNING_EPOCHS, PRUNING_RATE = 0.5, 3, 1e-3
QAT_EPOCHS, QAT_RATE = 1, 1e-5
LARGE = ("ResNet50", "DenseNet121", "NASNetMobile", "InceptionV3", "Xception")
"""Trained for fewer epochs, and compressed on fewer samples, here and by TFMOT alike."""
LARGE_EPOCHS, LARGE_SAMPLES = 4, 256
SLOW = {"EfficientNetB0": 40, "EfficientNetV2B0": 16}
"""Trained for more epochs: after a few they have learnt so little that every rounding shows."""
SLOW_TO_RECOVER = (*SLOW, "NASNetMobile")
"""Pruned in more epochs, by both."""
SLOW_PRUNING_EPOCHS = 8


def main() -> None:
    """Run what is missing, then write the results."""
    from architectures import NAMES

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--models", nargs="*", choices=NAMES, default=NAMES, metavar="NAME", help=", ".join(NAMES))
    parser.add_argument("--again", action="store_true", help="forget what was measured for these models")
    parser.add_argument(
        "--techniques", nargs="*", choices=LABELS, default=LABELS, help="with --again: forget only these"
    )
    parser.add_argument("--jobs", type=int, default=2, help="processes at a time, each with one thread")
    parser.add_argument("--cell", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.cell:
        name, task = arguments.cell
        folder(name).mkdir(parents=True, exist_ok=True)
        path = folder(name) / f"{task}.json"
        known = json.loads(path.read_text()) if path.exists() else {}
        path.write_text(json.dumps(TASKS[task](name, known), indent=1) + "\n")
        return
    known = json.loads(RESULTS.read_text())["models"] if RESULTS.exists() else {}
    wanted = [name for name in arguments.models if arguments.again or name not in known]
    for name in wanted if arguments.again else ():
        forget(name, arguments.techniques)
    with ThreadPoolExecutor(arguments.jobs) as pool:
        list(pool.map(measure, wanted))
    known |= {name: row(name) for name in NAMES if (folder(name) / "done").exists()}
    write_results({name: known[name] for name in NAMES if name in known})


def measure(name: str) -> None:
    """Run every task of one architecture that has not been run, each in a process of its own."""
    for task in TASKS:
        result, log = folder(name) / f"{task}.json", folder(name) / f"{task}.log"
        if result.exists() and done(task, json.loads(result.read_text())):
            continue
        folder(name).mkdir(parents=True, exist_ok=True)
        start = time.monotonic()
        keras2 = "0" if task == "train-keras3" else "1"
        settings = {"TF_USE_LEGACY_KERAS": keras2, "TF_NUM_INTRAOP_THREADS": "1"}
        with log.open("wb") as out:
            try:
                code = subprocess.run(
                    [sys.executable, __file__, "--cell", name, task],
                    env={**environment(), **settings, "TF_NUM_INTEROP_THREADS": "1", "PYTHONPATH": str(ROOT)},
                    stdout=out,
                    stderr=out,
                    timeout=TIMEOUT_S,
                    check=False,
                ).returncode
                died = f"the process ended with code {code}"
            except subprocess.TimeoutExpired:
                code, died = 1, f"not done after {TIMEOUT_S} s"
        if code:
            lines = [line for line in log.read_text(errors="replace").splitlines() if line.strip()]
            result.write_text(json.dumps({"error": f"{died}: {lines[-1] if lines else ''}"[:400]}) + "\n")
        print(
            f"{name:26} {task:14} {time.monotonic() - start:6.0f} s  {summary(json.loads(result.read_text()))}",
            flush=True,
        )
    (folder(name) / "done").touch()


def done(task: str, result: dict[str, Any]) -> bool:
    """True when nothing of a task is left to be measured."""
    return task.startswith("train") or "error" in result or set(LABELS) <= set(result)


def forget(name: str, techniques: Sequence[str]) -> None:
    """Drop the results of techniques, or of everything with all of them."""
    if set(techniques) == set(LABELS):
        for old in folder(name).glob("*"):
            old.unlink()
    for path in [folder(name) / f"{task}.json" for task in TASKS if not task.startswith("train")]:
        if path.exists():
            found = json.loads(path.read_text())
            path.write_text(json.dumps({key: value for key, value in found.items() if key not in techniques}) + "\n")


def folder(name: str) -> Path:
    """Where the models and results of one architecture are."""
    return WORK / name.replace(" ", "_")


def pruning_epochs(name: str) -> int:
    """Epochs of pruning, here and by TFMOT alike."""
    return SLOW_PRUNING_EPOCHS if name in SLOW_TO_RECOVER else PRUNING_EPOCHS


def dataset(name: str, *, for_training: bool = False) -> Any:
    """Real handwritten digits, enlarged to the model's input: 8x8 pixels of 0..16 become float32 of 0..255."""
    import numpy as np
    from architectures import input_shape
    from sklearn.datasets import load_digits

    from edgepack.contracts import Preprocessing, Samples
    from edgepack.dataset import Dataset

    bunch = load_digits()
    order = np.random.default_rng(0).permutation(len(bunch.target))
    height, width, *channels = input_shape(name)
    images = np.kron(bunch.images[order], np.ones((1, height // 8, width // 8))).astype(np.float32)
    x = np.repeat(images[..., None], channels[0], -1) if channels else images
    # The applications that scale inside take bytes; the others take small numbers.
    largest = 255.0 if name.startswith(("MobileNetV3", "EfficientNet")) else 1.0
    y = bunch.target[order].astype(np.int64)
    first, second = TRAINED, TRAINED + TESTED
    used = LARGE_SAMPLES if name in LARGE and not for_training else first
    parts = [Samples(x[low:high], y[low:high]) for low, high in ((0, used), (first, second), (second, second + TESTED))]
    return Dataset(parts[0], parts[1], parts[2], tuple("0123456789"), Preprocessing(scale=largest / 16))


def train(keras: Any, name: str, path: Path) -> dict[str, Any]:
    """Train briefly: enough for statistics and weights that are not random."""
    from architectures import build

    keras.utils.set_random_seed(0)
    data, model = dataset(name, for_training=True), build(keras, name)
    epochs = LARGE_EPOCHS if name in LARGE else SLOW.get(name, EPOCHS)
    for layer in model.layers:
        if type(layer).__name__ == "BatchNormalization":
            layer.momentum = 0.7  # so few steps would leave the moving statistics at their start
    rate = keras.optimizers.schedules.CosineDecay(2e-3, epochs * TRAINED // BATCH)
    model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(data.inputs("train"), data.targets("train"), batch_size=BATCH, epochs=epochs, verbose=2)
    _, accuracy = model.evaluate(data.inputs("test"), data.targets("test"), verbose=0)
    model.save(path)
    return {"accuracy": accuracy, "parameters": model.count_params()}


def train_keras2(name: str, _: dict[str, Any]) -> dict[str, Any]:
    """The Keras 2 form, saved as HDF5."""
    import tf_keras

    return train(tf_keras, name, folder(name) / "keras2.h5")


def train_keras3(name: str, _: dict[str, Any]) -> dict[str, Any]:
    """The Keras 3 form, built and saved by Keras 3: with the weights of the other where they go in, else trained."""
    import keras
    import tf_keras
    from architectures import build

    data, model = dataset(name), build(keras, name)
    weights = tf_keras.models.load_model(folder(name) / "keras2.h5", compile=False).get_weights()
    if [weight.shape for weight in weights] != [weight.shape for weight in model.get_weights()]:
        return train(keras, name, folder(name) / "keras3.keras")
    model.set_weights(weights)
    model.compile(loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    _, accuracy = model.evaluate(data.inputs("test"), data.targets("test"), verbose=0)
    model.save(folder(name) / "keras3.keras")
    return {"accuracy": accuracy, "parameters": model.count_params()}


def ours(name: str, form: str, known: dict[str, Any]) -> dict[str, Any]:
    """QAT, pruning and PQAT with edgepack's techniques, except for what is known."""
    from edgepack.contracts import TechniqueContext
    from edgepack.formats.tflite import integer_file
    from edgepack.keras_models.load import load
    from edgepack.techniques import prune, qat
    from edgepack.training.config import Training

    data = dataset(name)
    context = TechniqueContext(Training(batch_size=BATCH), seed=0, progress=lambda _: None)
    path = folder(name) / ("keras2.h5" if form == "keras2" else "keras3.keras")
    calibration = data.calibration(64)
    quantise = qat.Config(epochs=QAT_EPOCHS, learning_rate=QAT_RATE, calibration_samples=256, monitor=False)
    found = dict(known)

    def attempt(label: str, work: Callable[[], Any]) -> None:
        start = time.monotonic()
        if label in found:
            return
        try:
            model, made = work()
            found[label] = {**judge(model, made, data), "seconds": round(time.monotonic() - start, 1)}
        except Exception as error:  # a cell of the table: the reason is the result
            found[label] = {"error": first_line(error), "seconds": round(time.monotonic() - start, 1)}

    def integer(model: Any, step: qat.Config) -> tuple[Any, bytes]:
        quantised = qat.apply(model, data, step, context=context).model
        return quantised, integer_file(quantised, calibration)

    @cache
    def thin() -> Any:
        config = prune.Config(sparsity=SPARSITY, epochs=pruning_epochs(name), learning_rate=PRUNING_RATE)
        return prune.apply(load(path), data, config, context=context).model

    attempt("QAT", lambda: integer(load(path), quantise))
    attempt("pruning", lambda: integer(thin(), quantise.model_copy(update={"epochs": 0})))
    attempt("PQAT", lambda: integer(thin(), quantise))
    return found


def plain(name: str, known: dict[str, Any]) -> dict[str, Any]:
    """TFMOT as it comes, on the Keras 2 object: the calls of its guide, the same budget of training."""
    import tensorflow as tf
    import tensorflow_model_optimization as tfmot
    import tf_keras

    data = dataset(name)
    found = dict(known)

    def convert(model: Any, *, calibrated: bool) -> bytes:
        converter = tf.lite.TFLiteConverter.from_keras_model(model)
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        if calibrated:
            converter.representative_dataset = lambda: ([sample[None]] for sample in data.calibration(64))
            converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
        converter.inference_input_type = converter.inference_output_type = tf.int8
        return bytes(converter.convert())

    steps = len(data.train.y) // BATCH

    def fit(model: Any, epochs: int, rate: float, callbacks: list[Any]) -> None:
        course = tf_keras.optimizers.schedules.CosineDecay(rate, epochs * steps)
        model.compile(tf_keras.optimizers.Adam(course), "sparse_categorical_crossentropy")
        x, y = data.inputs("train"), data.targets("train")
        model.fit(x, y, batch_size=BATCH, epochs=epochs, verbose=0, callbacks=callbacks)

    def quantise(source: Any) -> Any:
        model = tfmot.quantization.keras.quantize_model(source)
        fit(model, QAT_EPOCHS, QAT_RATE, [])
        return model, convert(model, calibrated=False)

    def prune(source: Any) -> Any:
        epochs = pruning_epochs(name)
        schedule = tfmot.sparsity.keras.PolynomialDecay(0.0, SPARSITY, 0, epochs * steps * 6 // 10, frequency=1)
        model = tfmot.sparsity.keras.prune_low_magnitude(source, pruning_schedule=schedule)
        fit(model, epochs, PRUNING_RATE, [tfmot.sparsity.keras.UpdatePruningStep()])
        model = tfmot.sparsity.keras.strip_pruning(model)
        return model, convert(model, calibrated=True)

    def load() -> Any:
        return tf_keras.models.load_model(folder(name) / "keras2.h5", compile=False)

    def attempt(label: str, work: Callable[[Any], Any], source: Callable[[], Any]) -> Any:
        start = time.monotonic()
        try:
            model, made = work(source())
            found[label] = {**judge(model, made, data), "seconds": round(time.monotonic() - start, 1)}
            return model
        except Exception as error:  # a cell of the table: the reason is the result
            found[label] = {"error": first_line(error), "seconds": round(time.monotonic() - start, 1)}
            return None

    if "QAT" not in found:
        attempt("QAT", quantise, load)
    if not {"pruning", "PQAT"} <= set(found):
        thin = attempt("pruning", prune, load)
        if thin is None:
            found["PQAT"] = {"error": "pruning failed"}
        else:
            attempt("PQAT", preserve(quantise), lambda: thin)
    try:
        tf_keras.models.load_model(folder(name) / "keras3.keras", compile=False)
        found["Keras 3"] = {"read": True}
    except Exception as error:  # a cell of the table: the reason is the result
        found["Keras 3"] = {"error": first_line(error)}
    return found


def preserve(quantise: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """PQAT as TFMOT's guide has it, in place of plain ``quantize_model``."""
    import tensorflow_model_optimization as tfmot

    def apply(source: Any) -> Any:
        original = tfmot.quantization.keras.quantize_model
        annotated = tfmot.quantization.keras.quantize_annotate_model(source)
        scheme = tfmot.experimental.combine.Default8BitPrunePreserveQuantizeScheme()
        tfmot.quantization.keras.quantize_model = lambda _: tfmot.quantization.keras.quantize_apply(annotated, scheme)
        try:
            return quantise(source)
        finally:
            tfmot.quantization.keras.quantize_model = original

    return apply


def judge(model: Any, content: bytes, data: Any) -> dict[str, Any]:
    """How an int8 file agrees with its Keras model on test samples, and what is in it."""
    import tempfile

    import numpy as np

    from edgepack.runner.infer import predict
    from edgepack.runner.sessions import open_session
    from edgepack.runner.tasks.classification import figure
    from edgepack.tflite_models.contents import float_operations
    from edgepack.verify.parity import compare

    x, y = data.inputs("test"), data.targets("test")
    expected = np.asarray(model.predict(x, batch_size=BATCH, verbose=0), dtype=np.float32)
    with tempfile.NamedTemporaryFile(suffix=".tflite") as file:
        Path(file.name).write_bytes(content)
        with open_session("litert", Path(file.name), 1) as session:
            _, real = predict(session, x)
        with open_session("litert", Path(file.name), 1, kernels="builtin") as session:
            _, builtin = predict(session, x)
    difference = compare(expected, real)
    return {
        "sqnr_db": difference.sqnr_db,
        "top1_agreement": difference.top1_agreement,
        "kernels_sqnr_db": compare(builtin, real).sqnr_db,
        "keras_accuracy": figure(expected, x, y),
        "tflite_accuracy": figure(real, x, y),
        "float_operations": float_operations(content),
        "bytes": len(content),
    }


def first_line(error: BaseException) -> str:
    """A reason that fits into a table."""
    lines = [line for line in str(error).splitlines() if line.strip()] or [""]
    return f"{type(error).__name__}: {lines[0]}"[:300]


TASKS: dict[str, Callable[[str, dict[str, Any]], dict[str, Any]]] = {
    "train-keras2": train_keras2,
    "train-keras3": train_keras3,
    "keras2": lambda name, known: ours(name, "keras2", known),
    "keras3": lambda name, known: ours(name, "keras3", known),
    "tfmot": plain,
}


def holds(cell: dict[str, Any]) -> bool:
    """True when a cell meets the bar: full int8, and 99 % of top-1 or 20 dB."""
    if "error" in cell or cell["float_operations"]:
        return False
    return bool(cell["top1_agreement"] >= 0.99 or cell["sqnr_db"] is None or cell["sqnr_db"] >= 20)


def summary(result: dict[str, Any]) -> str:
    """A task's result in one line."""
    if "error" in result:
        return str(result["error"])
    if "accuracy" in result:
        return f"accuracy {result['accuracy']:.2f}"
    return ", ".join(f"{label} {text(cell)}" for label, cell in result.items())


def text(cell: dict[str, Any]) -> str:
    """A cell of the table."""
    if "error" in cell:
        return textwrap.shorten(str(cell["error"]), 120, placeholder=" ...")
    if "read" in cell:
        return "read"
    ratio = "exact" if cell["sqnr_db"] is None else f"{cell['sqnr_db']:.0f} dB"
    islands = f", {len(cell['float_operations'])} float" if cell["float_operations"] else ""
    return f"{ratio}, {100 * cell['top1_agreement']:.0f} %{islands}"


def row(name: str) -> dict[str, Any]:
    """What was measured for one architecture, and where."""
    from edgepack.environment import describe

    tasks = {task: json.loads((folder(name) / f"{task}.json").read_text()) for task in TASKS}
    return {**tasks, "environment": describe()}


def write_results(rows: dict[str, dict[str, Any]]) -> None:
    """Write the JSON and the table of the documentation."""
    document = {
        "command": "python benchmarks/coverage.py",
        "trained_samples": TRAINED,
        "large": {"models": LARGE, "epochs": LARGE_EPOCHS, "samples_of_techniques": LARGE_SAMPLES},
        "test_samples": TESTED,
        "sparsity": SPARSITY,
        "models": rows,
    }
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    TABLE.write_text(table(rows))


TEXT = f"""\
# Coverage

What each architecture becomes: a full-int8, built-ins-only `.tflite`, and how well it agrees with the fake-quantised
Keras model that it was made from (SQNR of the outputs, share of test samples with the same top-1 class). The bar is
99 % of top-1 or 20 dB, with nothing in float. Of {{cells}} cells {{met}} meet it; of TFMOT's {{theirs}},
{{theirs_met}}.

The models are those of `keras.applications` for ten classes and images of 64x64x3 (80x80x3 where 64 is too small),
and a 1-D convolution net for keyword spotting, trained briefly on {TRAINED:,} real digits. Pruning takes
{100 * SPARSITY:.0f} % of the weights in {PRUNING_EPOCHS} epochs and quantises with calibrated ranges; QAT is
{QAT_EPOCHS} epoch; PQAT is both. The large ones ({", ".join(LARGE)}) are trained for {LARGE_EPOCHS}
epochs instead of {EPOCHS}, and compressed on {LARGE_SAMPLES} samples, by both;
{" and ".join(f"{name} for {epochs}" for name, epochs in SLOW.items())}: after a few they have learnt so little that
LiteRT's own kernels, XNNPACK and the built-in ones, give different answers for the same file (`kernels_sqnr_db`).
They and NASNetMobile are pruned in {SLOW_PRUNING_EPOCHS} epochs. TFMOT is used as its guides say; it has no way in
from Keras 3.

    python benchmarks/coverage.py

makes this page and `benchmarks/results/coverage.json`, which has every figure, every whole error message, and where
each model was measured.
{{missing}}

## edgepack
"""


def table(rows: dict[str, dict[str, Any]]) -> str:
    """The Markdown page."""
    from architectures import NAMES

    missing = [name for name in NAMES if name not in rows]
    cells = [
        rows[name][form][label] for name in rows for form in FORMS for label in LABELS if label in rows[name][form]
    ]
    met = sum(map(holds, cells))
    theirs = [rows[name]["tfmot"].get(label, {"error": ""}) for name in rows for label in LABELS]
    header = "| model | " + " | ".join(f"{form} {label}" for form in ("Keras 2:", "Keras 3:") for label in LABELS)
    lines = [
        TEXT.format(
            cells=len(cells),
            met=met,
            theirs=len(theirs),
            theirs_met=sum(map(holds, theirs)),
            missing=f"\nNot measured yet: {', '.join(missing)}.\n" if missing else "",
        ),
        header + " |",
        "|---|" + "---|" * 6,
    ]
    for name, row in rows.items():
        found = [row[form].get(label, row[form]) for form in FORMS for label in LABELS]
        lines.append(f"| {name} | " + " | ".join(text(cell) for cell in found) + " |")
    lines += [
        "",
        "## TFMOT as it comes",
        "",
        "| model | QAT | pruning | PQAT | Keras 3 file |",
        "|---|---|---|---|---|",
    ]
    for name, row in rows.items():
        found = [row["tfmot"].get(label, row["tfmot"]) for label in (*LABELS, "Keras 3")]
        lines.append(f"| {name} | " + " | ".join(text(cell).replace("|", "/") for cell in found) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
