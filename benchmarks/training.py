"""How soon does each schedule reach its target, what do mixup, smoothing and weight decay do, what does training cost?

    python benchmarks/training.py                  # page and picture from `benchmarks/results/training.json`
    python benchmarks/training.py --run            # measure what is missing first: about an hour on two cores
    python benchmarks/training.py --cost           # edgepack beside plain ``fit``, in turns: 10 minutes

A small residual network learns Fashion-MNIST with three seeds: 54,000 images to train on, 6,000 to validate with;
the test images are not touched. One cycle is trained with several lengths, since a shorter one is another
schedule. Seconds are those of the epochs, validation included; trainings run two at a time, one thread each. Results:
``benchmarks/results/training.json``, ``docs/training.md``, ``docs/images/training.png``.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import baton
import plain_pipeline

from edgepack.environment import describe
from edgepack.tf_environment import environment
from edgepack.training.config import BatchNormalization

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "out" / "benchmarks" / "training"
RESULTS = ROOT / "benchmarks" / "results" / "training.json"
PICTURE = ROOT / "docs" / "images" / "training.png"
PAGE = ROOT / "docs" / "training.md"
IMAGES = "/usr/share/datasets/fashion-mnist"
ENVIRONMENT = {**environment(), "PYTHONPATH": f"{ROOT}:{ROOT / 'benchmarks'}"}
ONE_THREAD = {"TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1", "OMP_NUM_THREADS": "1"}

FILTERS = (8, 16, 32)
BATCH, PEAK = 128, 0.1
STATISTICS = BatchNormalization(momentum=0.9)
"""With Keras' own 0.99 the moving statistics lag behind: at a constant rate validation would measure little else."""
TARGETS = (0.91, 0.92)
COST_EPOCHS, COST_SAMPLES, COST_BAR = 3, 12_000, 1.03
KINDS = ("by hand", "edgepack")


@dataclass(frozen=True)
class Variant:
    """One way to train: a schedule with its peak, a number of epochs, and further keys of ``training``."""

    name: str
    epochs: int
    schedule: dict[str, Any]
    peak: float = PEAK
    options: tuple[tuple[str, Any], ...] = ()


ONE_CYCLE = {"use": "one_cycle", "momentum": [0.95, 0.85]}
LONGEST = 12
SCHEDULES = (
    Variant("constant", LONGEST, {"use": "constant"}, 0.02),
    Variant("step", LONGEST, {"use": "step"}),
    Variant("cyclical", LONGEST, {"use": "triangular2", "half_cycle_epochs": 2}),
    *(Variant("one-cycle", epochs, ONE_CYCLE) for epochs in (4, 6, 8)),
)
BUDGET = 6
EFFECTS = (
    Variant("one-cycle, mixup 0.2", BUDGET, ONE_CYCLE, options=(("mixup", 0.2),)),
    Variant("one-cycle, smoothing 0.1", BUDGET, ONE_CYCLE, options=(("label_smoothing", 0.1),)),
    Variant("one-cycle, weight decay 0.0005", BUDGET, ONE_CYCLE, options=(("weight_decay", 5e-4),)),
)
SEEDS = (0, 1, 2)


def main() -> None:
    """Measure if asked to, then write page and picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="measure what is missing")
    parser.add_argument("--cost", action="store_true", help="measure the cost beside plain fit")
    parser.add_argument("--jobs", type=int, default=2, help="trainings at a time, each with one thread")
    parser.add_argument("--rounds", type=int, default=5, help="rounds of --cost")
    parser.add_argument("--one", nargs=2, help=argparse.SUPPRESS)
    parser.add_argument("--round", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        train(int(arguments.one[0]), int(arguments.one[1]))
        return
    if arguments.round is not None:
        one_round(arguments.round)
        return
    WORK.mkdir(parents=True, exist_ok=True)
    document = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    if arguments.run:
        wanted = [(index, seed) for seed in SEEDS for index in range(len(SCHEDULES + EFFECTS))]
        with ThreadPoolExecutor(arguments.jobs) as pool:
            list(pool.map(lambda pair: measured(*pair), wanted))
        document |= {"environment": describe(), "jobs": arguments.jobs, "trainings": collected()}
    if arguments.cost:
        document["cost"] = {"environment": describe(), **cost(arguments.rounds)}
    if arguments.run or arguments.cost:
        RESULTS.parent.mkdir(parents=True, exist_ok=True)
        RESULTS.write_text(json.dumps(document, indent=1) + "\n")
    if "trainings" not in document:
        print("no page without the trainings: --run measures them")
        return
    draw(document["trainings"])
    PAGE.write_text(page(document))


def kept(index: int, seed: int) -> Path:
    """File of one training; a changed variant has another one."""
    variant = (SCHEDULES + EFFECTS)[index]
    words = [variant.name, str(variant.epochs), json.dumps(variant.schedule), str(variant.peak), str(seed)]
    name = "-".join(word for word in "_".join(words).replace(".", "_").split() if word)
    return WORK / ("".join(letter if letter.isalnum() or letter in "-_" else "" for letter in name) + ".json")


def measured(index: int, seed: int) -> None:
    """Train one variant in a process of its own, if that was not done."""
    path = kept(index, seed)
    if path.exists():
        return
    argv = [sys.executable, __file__, "--one", str(index), str(seed)]
    with path.with_suffix(".log").open("wb") as log:
        subprocess.run(argv, env={**ENVIRONMENT, **ONE_THREAD}, cwd=ROOT, stderr=log, check=True)
    record = json.loads(path.read_text())
    print(
        f"{record['name']:32} {record['epochs']:3} epochs, seed {seed}: {max(record['val_accuracy']):.4f}", flush=True
    )


def images(samples: int | None = None) -> Any:
    """Fashion-MNIST: the first 54,000 training images, or fewer, to train on, the last 6,000 to validate with."""
    from edgepack.contracts import Preprocessing, Samples
    from edgepack.data import idx
    from edgepack.dataset import Dataset

    raw = idx.load(idx.Config(idx=IMAGES), ROOT)
    x, y = raw.train.x.reshape(-1, 28, 28, 1), raw.train.y.astype("int64")
    assert raw.test is not None
    parts = [Samples(x[: samples or 54_000], y[: samples or 54_000]), Samples(x[54_000:], y[54_000:]), raw.test]
    return Dataset(parts[0], parts[1], parts[2], raw.labels, Preprocessing(scale=1 / 255))


def network() -> Any:
    """The network of all measurements: seven layers with 19,954 parameters."""
    from edgepack.zoo import resnet

    config = resnet.Config(blocks=(1,) * len(FILTERS), filters=FILTERS)
    return resnet.build(config, input_shape=(28, 28, 1), classes=10)


def train(index: int, seed: int) -> None:
    """Train one variant and write its curve."""
    from pydantic import TypeAdapter

    from edgepack.stages.determinism import make_deterministic
    from edgepack.training.config import Training
    from edgepack.training.course import AnySchedule
    from edgepack.training.fit import fit

    variant = (SCHEDULES + EFFECTS)[index]
    schedule = TypeAdapter(AnySchedule).validate_python(variant.schedule)
    training = Training(batch_size=BATCH, optimizer="sgd", batch_normalization=STATISTICS, **dict(variant.options))
    make_deterministic(seed)
    ends: list[float] = []
    start = time.monotonic()
    fitted = fit(
        network(),
        images(),
        training,
        epochs=variant.epochs,
        learning_rate=variant.peak,
        schedule=schedule,
        seed=seed,
        progress=lambda _: None,
        label=variant.name,
        callbacks=[clock(ends)],
    )
    record = {
        **asdict(variant),
        "seed": seed,
        "val_accuracy": [entry["val_accuracy"] for entry in fitted.curve],
        "seconds": [round(end - start, 2) for end in ends],
        "data_wait": fitted.data_wait,
    }
    kept(index, seed).write_text(json.dumps(record) + "\n")


def clock(ends: list[float]) -> Any:
    """A callback that notes when each epoch ended."""
    import tf_keras

    class Clock(tf_keras.callbacks.Callback):  # type: ignore[misc] # tf_keras has no type information
        def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
            ends.append(time.monotonic())

    return Clock()


def collected() -> list[dict[str, Any]]:
    """All trainings that were measured, in the order of the variants."""
    pairs = [(index, seed) for index in range(len(SCHEDULES + EFFECTS)) for seed in SEEDS]
    return [json.loads(kept(*pair).read_text()) for pair in pairs if kept(*pair).exists()]


def cost(rounds: int) -> dict[str, Any]:
    """Seconds of the same training by hand and with edgepack, which take turns; each round in a process of its own."""
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for number in range(rounds):
        argv = [sys.executable, __file__, "--round", str(number)]
        done = subprocess.run(argv, env=ENVIRONMENT, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        took = json.loads(done.stdout.splitlines()[-1])
        for kind in KINDS:
            seconds[kind].append(round(took[kind], 2))
        print({kind: values[-1] for kind, values in seconds.items()}, flush=True)
    ratios = [edgepack / plain for plain, edgepack in zip(*seconds.values(), strict=True)]
    print(f"edgepack takes {statistics.median(ratios):.3f}x the time of plain fit (bar {COST_BAR})")
    return {"seconds": seconds, "ratios": ratios, "ratio": statistics.median(ratios), "bar": COST_BAR}


def one_round(number: int) -> None:
    """Train the example's ResNet-8 in both ways and print the seconds of each; who begins changes with the round."""
    from edgepack.stages.determinism import make_deterministic
    from edgepack.zoo import resnet8

    make_deterministic(number)
    data = images(COST_SAMPLES)
    models = [resnet8.build(resnet8.Config(), input_shape=(28, 28, 1), classes=10) for _ in KINDS]
    sides = [
        (kind, partial(train_in_turns, model, data))
        for kind, model, train_in_turns in zip(KINDS, models, (by_hand, with_edgepack), strict=True)
    ]
    if number % 2:
        sides.reverse()
    took = baton.seconds(*(side for _, side in sides))
    print(json.dumps(dict(zip((kind for kind, _ in sides), took, strict=True))))


def with_edgepack(model: Any, data: Any, turns: Any) -> None:
    """The same training, as a recipe asks for it: checkpoints and logs included."""
    from edgepack.schedules import one_cycle
    from edgepack.training.checkpoints import Place
    from edgepack.training.config import Augment, Training
    from edgepack.training.fit import fit

    fit(
        model,
        data,
        Training(batch_size=BATCH, augment=Augment(flip=True, shift=2), weight_decay=5e-4),
        epochs=COST_EPOCHS,
        learning_rate=0.01,
        schedule=one_cycle.Config(),
        seed=0,
        progress=lambda _: None,
        label="cost",
        callbacks=[turns],
        place=Place(WORK / f"checkpoint-{os.getpid()}", WORK / f"log-{os.getpid()}"),
    )


def by_hand(model: Any, data: Any, turns: Any) -> None:
    """What a user writes today: the same augmentation, rates and decay, the best weights kept."""
    import tf_keras

    train, held_out = data.train, data.validation
    batches, validation = plain_pipeline.batches(train.x, train.y, held_out.x, held_out.y, BATCH)
    rate = tf_keras.optimizers.schedules.CosineDecay(
        4e-4, COST_EPOCHS * len(batches), warmup_target=0.01, warmup_steps=len(train.y) // BATCH
    )
    optimizer = tf_keras.optimizers.Adam(rate, weight_decay=5e-4)
    model.compile(optimizer, "sparse_categorical_crossentropy", metrics=["accuracy"])
    best = tf_keras.callbacks.ModelCheckpoint(
        str(WORK / f"plain-{os.getpid()}.h5"), "val_accuracy", save_best_only=True, save_weights_only=True
    )
    model.fit(batches, validation_data=validation, epochs=COST_EPOCHS, verbose=0, callbacks=[turns, best])


def reached(record: dict[str, Any], target: float) -> int | None:
    """The first epoch, from 1 on, after which the validation accuracy is at the target; None = never."""
    return next((epoch for epoch, value in enumerate(record["val_accuracy"], 1) if value >= target), None)


def grouped(trainings: list[dict[str, Any]]) -> dict[tuple[str, int], list[dict[str, Any]]]:
    """The trainings of each variant, one a seed."""
    found: dict[tuple[str, int], list[dict[str, Any]]] = {}
    for record in trainings:
        found.setdefault((record["name"], record["epochs"]), []).append(record)
    return found


def spread(values: Sequence[float], form: str) -> str:
    """Mean, and lowest to highest."""
    return f"{statistics.mean(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def cell(records: list[dict[str, Any]], target: float) -> str:
    """Epochs and seconds to a target."""
    epochs = [reached(record, target) for record in records]
    there = [(epoch, record["seconds"][epoch - 1]) for epoch, record in zip(epochs, records, strict=True) if epoch]
    if not there:
        return "–"
    text = f"{spread([epoch for epoch, _ in there], '.0f')} epochs, {statistics.mean(s for _, s in there):.0f} s"
    return text if len(there) == len(records) else f"{text}; {len(there)} of {len(records)} seeds"


def draw(trainings: list[dict[str, Any]]) -> None:
    """Validation accuracy over the epochs: each schedule, mean of the seeds."""
    from edgepack.report import svg

    with svg.style():
        figure = svg.new_figure(7.2, 3.8)
        axes = figure.add_subplot()
        names = list(dict.fromkeys(variant.name for variant in SCHEDULES))
        for (name, epochs), records in grouped(trainings).items():
            if name not in names:
                continue
            colour = svg.SERIES[names.index(name)]
            values = [
                100 * statistics.mean(column) for column in zip(*(r["val_accuracy"] for r in records), strict=True)
            ]
            axes.plot(range(1, epochs + 1), values, color=colour, linewidth=1.5)
            box = {"fc": "white", "ec": "none", "pad": 0.5}
            axes.text(epochs + 0.15, values[-1], f"{name}, {epochs}", color=colour, fontsize=8, va="center", bbox=box)
        for target in TARGETS:
            axes.axhline(100 * target, color=svg.MUTED, linewidth=0.7, linestyle=(0, (2, 3)))
        axes.set_ylim(84, 93)
        axes.set_xlim(1, LONGEST + 2)
        axes.set_xlabel("epoch")
        axes.set_ylabel("validation accuracy, %")
        figure.savefig(PICTURE, dpi=160, facecolor="white")


TEXT = """\
# How fast training gets there

A residual network of 19,954 parameters (`zoo: resnet`, one block in each of three stages, filters 8, 16, 32) on
Fashion-MNIST: 54,000 images to train on, 6,000 to validate with, not augmented, batches of {batch}, SGD with Nesterov
momentum, three seeds; the test images are not touched. BatchNormalization keeps 0.9 of its moving statistics in each
step (Keras: 0.99): at a constant rate they would otherwise lag so far behind the weights that validation measures
little else. Mean of the seeds, lowest to highest in brackets; seconds are those of one thread.

![Validation accuracy by epoch for each schedule](images/training.png)

| schedule | peak rate | epochs in all | to {first} % | to {second} % | best, % |
|---|---|---|---|---|---|
{schedules}

{verdict}

The same network with one cycle of {budget} epochs and one thing more:

| | best validation accuracy, % |
|---|---|
{effects}

{cost}

    python benchmarks/training.py --run
    python benchmarks/training.py --cost

measure all of it again, in about an hour and in ten minutes on two cores, and write this page and
`benchmarks/results/training.json`.
"""


def page(document: dict[str, Any]) -> str:
    """The Markdown page."""
    found = grouped(document["trainings"])
    names = {variant.name for variant in SCHEDULES}
    rows, effects = [], []
    for (name, epochs), records in found.items():
        best = spread([100 * max(record["val_accuracy"]) for record in records], ".2f")
        if name in names:
            cells = " | ".join(cell(records, target) for target in TARGETS)
            rows.append(f"| {name} | {records[0]['peak']:g} | {epochs} | {cells} | {best} |")
        if name not in names or (name, epochs) == ("one-cycle", BUDGET):
            effects.append(f"| {name} | {best} |")
    return TEXT.format(
        batch=BATCH,
        first=f"{100 * TARGETS[0]:.0f}",
        second=f"{100 * TARGETS[1]:.0f}",
        schedules="\n".join(rows),
        effects="\n".join(effects),
        budget=BUDGET,
        verdict=verdict(found),
        cost=cost_text(document.get("cost")),
    )


def verdict(found: dict[tuple[str, int], list[dict[str, Any]]]) -> str:
    """Whether one cycle needs at most half of the epochs of a constant rate, for each target, and what needs fewest."""
    lines = []
    for target in TARGETS:
        needed: dict[str, tuple[float, int]] = {}
        for (name, epochs), records in found.items():
            there = [reached(record, target) for record in records]
            if all(there):
                mean = statistics.mean(epoch for epoch in there if epoch)
                needed[name] = min(needed.get(name, (mean, epochs)), (mean, epochs))
        goal = f"{100 * target:.0f} %"
        if "one-cycle" not in needed:
            lines.append(f"- {goal}: no length of one cycle that was tried gets there with every seed.")
        elif "constant" not in needed:
            lines.append(
                f"- {goal}: one cycle of {needed['one-cycle'][1]} epochs gets there with every seed, the constant rate "
                f"does not in {LONGEST}."
            )
        else:
            share = needed["one-cycle"][0] / needed["constant"][0]
            lines.append(
                f"- {goal}: one cycle of {needed['one-cycle'][1]} epochs needs {needed['one-cycle'][0]:.1f} of them, "
                f"the constant rate {needed['constant'][0]:.1f}: {share:.2f} times as many."
            )
        if needed:
            soonest = min(needed, key=lambda name: needed[name])
            mean, length = needed[soonest]
            lines[-1] += f" The soonest: {soonest}, {mean:.1f} of {length} epochs."
    return "\n".join(lines)


def cost_text(cost: dict[str, Any] | None) -> str:
    """What training through edgepack costs."""
    if cost is None:
        return "What edgepack costs beside plain `fit` has not been measured yet."
    return (
        f"Training the ResNet-8 of the Fashion-MNIST example through edgepack, checkpoints and all, takes "
        f"{spread(cost['ratios'], '.2f')} times as long as plain `fit` with the same augmentation, rates and batches "
        f"({len(cost['ratios'])} pairs of trainings that take turns of {baton.BATCHES} batches, "
        f"{COST_EPOCHS} epochs of {COST_SAMPLES:,} images; median {cost['ratio']:.3f}). "
        f"Seconds: {_range(cost['seconds']['edgepack'])} with edgepack, {_range(cost['seconds']['by hand'])} by hand."
    )


def _range(values: Sequence[float]) -> str:
    return f"{min(values):.0f} to {max(values):.0f}"


if __name__ == "__main__":
    main()
