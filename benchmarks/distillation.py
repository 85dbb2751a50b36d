"""Does a small student learn more from a teacher than from the labels alone, on Fashion-MNIST?

    python benchmarks/distillation.py --seeds 0 1 2

One wide ResNet-8 (and a second one, for the ensemble) is trained first. Then, for each seed, the same narrow ResNet-8
is trained alone and with the teacher, from the same weights and over the same batches. Writes
``benchmarks/results/distillation.json``; the test images are looked at once, after each training.
"""

import argparse
import json
import os
import statistics
import time
from pathlib import Path
from typing import Any

from edgepack.tf_environment import environment

os.environ.update(environment())

from edgepack.contracts import Preprocessing, Samples
from edgepack.data import idx
from edgepack.dataset import Dataset
from edgepack.environment import describe
from edgepack.schedules import one_cycle
from edgepack.training.config import Augment, Training
from edgepack.training.distillation import Lesson

RESULTS = Path(__file__).parent / "results" / "distillation.json"
TRAINING = Training(batch_size=64, weight_decay=5e-4, augment=Augment(flip=True, shift=2))
PEAK, SCHEDULE = 0.01, one_cycle.Config()


def main() -> None:
    """Train everything, print a line for each model, write the results."""
    options = _options()
    from edgepack.stages.determinism import make_deterministic

    make_deterministic(0)
    data = load(options.data, options.samples)
    teachers = []
    found: list[dict[str, Any]] = []
    for seed in (100, 101):
        model, record = learn(options.teacher_width, data, options.teacher_epochs, seed, None)
        teachers.append(model)
        found.append({"who": "teacher", "width": options.teacher_width, **record})
        print(found[-1], flush=True)
    trials: list[tuple[str, Lesson | None]] = [("alone", None)]
    trials += [
        (f"distilled, weight {weight:g}", Lesson(teachers[:1], options.temperature, weight))
        for weight in options.weights
    ]
    trials.append(("distilled from two teachers", Lesson(teachers, options.temperature, options.weights[0])))
    for seed in options.seeds:
        for who, lesson in trials:
            _, record = learn(options.student_width, data, options.student_epochs, seed, lesson)
            found.append({"who": who, "width": options.student_width, **record})
            print(found[-1], flush=True)
    summary = [
        summarise(who, [item for item in found if item["who"] == who]) for who in dict.fromkeys(t for t, _ in trials)
    ]
    RESULTS.parent.mkdir(exist_ok=True)
    settings = {key: str(value) if isinstance(value, Path) else value for key, value in vars(options).items()}
    document = {
        "settings": {**settings, "training": TRAINING.model_dump(exclude={"learning_rate", "schedule", "epochs"})}
        | {"learning_rate": PEAK, "schedule": SCHEDULE.model_dump()},
        "environment": describe(),
        "summary": summary,
        "runs": found,
    }
    RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    for line in summary:
        print(line)


def load(folder: Path, samples: int) -> Dataset:
    """The first training images for training, the last 5,000 for validation, all test images."""
    arrays = {name: idx.read(folder / f"{file}.gz") for name, file in idx.NAMES.items()}
    x, y = arrays["x_train"][..., None], arrays["y_train"].astype("int64")
    return Dataset(
        Samples(x[:samples], y[:samples]),
        Samples(x[-5000:], y[-5000:]),
        Samples(arrays["x_test"][..., None], arrays["y_test"].astype("int64")),
        idx.FASHION,
        Preprocessing(scale=1 / 255),
    )


def learn(width: int, data: Dataset, epochs: int, seed: int, lesson: Lesson | None) -> tuple[Any, dict[str, Any]]:
    """Train one ResNet-8; returns it with its accuracies (fractions) and the time it took (seconds)."""
    import tf_keras

    from edgepack.training.fit import fit, predict
    from edgepack.zoo import resnet8

    tf_keras.utils.set_random_seed(seed)
    model = resnet8.build(resnet8.Config(width=width), input_shape=data.input_shape, classes=data.classes)
    start = time.monotonic()
    settings: dict[str, Any] = {"learning_rate": PEAK, "schedule": SCHEDULE, "seed": seed, "label": ""}
    fit(model, data, TRAINING, epochs=epochs, progress=lambda _: None, lesson=lesson, **settings)
    seconds = time.monotonic() - start
    accuracies = {
        "val_accuracy": float((predict(model, data, "validation").argmax(axis=1) == data.targets("validation")).mean()),
        "test_accuracy": float((predict(model, data, "test").argmax(axis=1) == data.targets("test")).mean()),
    }
    return model, {"parameters": model.count_params(), "seed": seed, **accuracies, "seconds": round(seconds, 1)}


def summarise(who: str, runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Mean and extremes over the seeds, as fractions."""
    summary: dict[str, Any] = {"who": who, "seeds": len(runs)}
    for name in ("val_accuracy", "test_accuracy"):
        values = [run[name] for run in runs]
        summary |= {name: round(statistics.mean(values), 5), f"{name}_range": [min(values), max(values)]}
    return summary


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("/usr/share/datasets/fashion-mnist"), help="IDX files")
    parser.add_argument("--samples", type=int, default=6000, help="training images; at most 55,000")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--weights", type=float, nargs="+", default=[0.7, 0.9])
    parser.add_argument("--temperature", type=float, default=4.0)
    parser.add_argument("--teacher-width", type=int, default=12)
    parser.add_argument("--student-width", type=int, default=4)
    parser.add_argument("--teacher-epochs", type=int, default=10)
    parser.add_argument("--student-epochs", type=int, default=10)
    return parser.parse_args()


if __name__ == "__main__":
    main()
