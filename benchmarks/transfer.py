"""What do start weights pay when there are few labels: five classes of Fashion-MNIST, learnt from the other five?

    python benchmarks/transfer.py                # the example's table, from `benchmarks/results/transfer.json`
    python benchmarks/transfer.py --run          # measure first what is not in the results yet
    python benchmarks/transfer.py --run --again  # measure everything: about four minutes on one core

The two recipes of ``examples/transfer``: one network is trained on classes 0 to 4; from its weights, and from random
ones, classes 5 to 9 are learnt from 20 images each. Each seed draws other images, another head and another order. All
ways get the same images, epochs, batches and schedule; from random weights each seed is trained at several peak rates,
and the one with the best validation accuracy counts. Accuracy is that of all 5,000 test images of the five classes.
Results: ``benchmarks/results/transfer.json`` and the table in ``examples/transfer/README.md``.
"""

import argparse
import json
import os
import re
import statistics
import time
from pathlib import Path
from typing import Any

from edgepack.tf_environment import environment

os.environ.update(environment())

from edgepack.dataset import Dataset
from edgepack.environment import describe
from edgepack.models import zoo
from edgepack.recipe import Recipe, load
from edgepack.training.config import Training

ROOT = Path(__file__).resolve().parents[1]
EXAMPLE = ROOT / "examples" / "transfer"
PAGE = EXAMPLE / "README.md"
BASE = ROOT / "out" / "benchmarks" / "transfer" / "base.h5"
RESULTS = ROOT / "benchmarks" / "results" / "transfer.json"

SCRATCH, SCRATCH_RATES = "random weights", (0.003, 0.01)
WAYS: dict[str, dict[str, Any]] = {
    "new head on frozen layers (`stages: []`)": {"stages": []},
    "fine-tuned (`transfer: {}`)": {},
    "fine-tuned in three stages (`stages: [0.33, 0.67, all]`)": {"stages": [0.33, 0.67, "all"]},
}
"""Name: the recipe's `training.transfer`."""

TABLE = re.compile(r"^\| trained from \|.*?(?=\n\n)", re.MULTILINE | re.DOTALL)


def main() -> None:
    """Measure if asked to, then print the table and put it into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="measure first")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--again", action="store_true", help="forget what was measured")
    options = parser.parse_args()
    if options.again:
        for path in (BASE.with_suffix(".json"), RESULTS):
            path.unlink(missing_ok=True)
    if options.run:
        measure(options.seeds)
    shown = table(json.loads(RESULTS.read_text()))
    print(shown)
    PAGE.write_text(TABLE.sub(lambda _: shown, PAGE.read_text()))


def measure(seeds: list[int]) -> None:
    """Train what is not in the results yet; they are written after each training."""
    from edgepack.stages.determinism import make_deterministic

    make_deterministic(0)
    base = train_base(load(EXAMPLE / "base.yaml"))
    recipe = load(EXAMPLE / "few_labels.yaml")
    runs: list[dict[str, Any]] = json.loads(RESULTS.read_text())["runs"] if RESULTS.exists() else []
    document = {
        "command": "python benchmarks/transfer.py --run --again",
        "environment": describe(),
        "base": base,
        "data": recipe.data.model_dump(mode="json"),
        "training": recipe.training.model_dump(mode="json"),
        "scratch_rates": SCRATCH_RATES,
        "ways": WAYS,
        "runs": runs,
    }
    for seed in seeds:
        data = samples(recipe, seed=seed)
        for way in (SCRATCH, *WAYS):
            if any((run["seed"], run["way"]) == (seed, way) for run in runs):
                continue
            if way == SCRATCH:
                tried = [learn(recipe, data, seed, None, rate=rate) for rate in SCRATCH_RATES]
                found = max(tried, key=lambda run: (run["val_accuracy"], -run["val_loss"]))
            else:
                found = learn(recipe, data, seed, WAYS[way])
            runs.append({"way": way, **found})
            print(runs[-1], flush=True)
            RESULTS.write_text(json.dumps(document, indent=1) + "\n")


def samples(recipe: Recipe, *, seed: int) -> Dataset:
    """The recipe's data, drawn by a seed."""
    from edgepack.data import python
    from edgepack.stages.data import split

    config = recipe.data.model_copy(update={"args": {**recipe.data.args, "seed": seed}})  # type: ignore[attr-defined]
    return split(python.load(config, EXAMPLE), config, seed=seed)  # type: ignore[arg-type]


def train_base(recipe: Recipe) -> dict[str, Any]:
    """Train the network that all others start from, once."""
    import tf_keras

    from edgepack.keras_models.save import save
    from edgepack.models._start import begin

    kept = BASE.with_suffix(".json")
    if kept.exists():
        return json.loads(kept.read_text())  # type: ignore[no-any-return]
    data = samples(recipe, seed=0)
    tf_keras.utils.set_random_seed(0)
    model = begin(recipe.model, EXAMPLE, input_shape=data.input_shape, classes=data.classes).model
    plain(model, data, recipe.training, seed=0)
    BASE.parent.mkdir(parents=True, exist_ok=True)
    save(model, BASE)
    found = {
        "parameters": model.count_params(),
        "training_images": len(data.train.y),
        "test_accuracy": accuracy(model, data),
    }
    kept.write_text(json.dumps(found) + "\n")
    print(found, flush=True)
    return found


def learn(
    recipe: Recipe, data: Dataset, seed: int, transfer: dict[str, Any] | None, rate: float | None = None
) -> dict[str, Any]:
    """Learn five classes from few images: in phases from the weights of the base, or from random ones."""
    import tf_keras

    from edgepack.training.fit import evaluate
    from edgepack.training.transfer import fine_tune
    from edgepack.training.unfreezing import Transfer

    tf_keras.utils.set_random_seed(seed)
    begun_s = time.process_time()
    keys = recipe.model.model_dump()
    shape: dict[str, Any] = {"input_shape": data.input_shape, "classes": data.classes}
    if transfer is None:
        model = zoo.build(zoo.Architecture(zoo=keys["zoo"], args=keys["args"]), EXAMPLE, **shape)
        training = recipe.training.model_copy(update={"transfer": None, "learning_rate": rate})
        plain(model, data, training, seed=seed)
    else:
        start = zoo.start(zoo.Config(**{**keys, "weights": str(BASE)}), EXAMPLE, **shape)
        model = start.model
        training = recipe.training.model_copy(update={"transfer": Transfer(**transfer)})
        fine_tune(
            model, data, training, epochs=training.epochs or 0, new=start.fresh, seed=seed, progress=lambda _: None
        )
    found = {"seed": seed, "learning_rate": training.learning_rate, **evaluate(model, data)}
    return {**found, "test_accuracy": accuracy(model, data), "cpu_s": round(time.process_time() - begun_s, 1)}


def plain(model: Any, data: Dataset, training: Training, *, seed: int) -> None:
    """Train all layers at once."""
    from edgepack.training.fit import fit

    fit(
        model,
        data,
        training,
        epochs=training.epochs or 0,
        learning_rate=training.learning_rate,
        schedule=training.schedule,
        seed=seed,
        progress=lambda _: None,
        label="",
    )


def accuracy(model: Any, data: Dataset) -> float:
    """Test accuracy, as a fraction."""
    from edgepack.training.fit import predict

    return round(float((predict(model, data, "test").argmax(axis=1) == data.targets("test")).mean()), 5)


def table(document: dict[str, Any]) -> str:
    """The results as a table in Markdown: mean, lowest and highest over the seeds."""
    lines = ["| trained from | test accuracy, % | lowest and highest |", "|---|---:|---:|"]
    for way in dict.fromkeys(run["way"] for run in document["runs"]):
        found = [100 * run["test_accuracy"] for run in document["runs"] if run["way"] == way]
        lines.append(f"| {way} | {statistics.mean(found):.1f} | {min(found):.1f}, {max(found):.1f} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
