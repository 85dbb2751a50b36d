"""Which recipe suits a model, samples, targets and precisions?"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from edgepack import extensions
from edgepack.errors import RecipeError
from edgepack.target import Target

CHANCE = 2.0
"""A model that is right less often than so many times by chance was not made for such samples."""


@dataclass(frozen=True)
class Draft:
    """The sections of a recipe, in order, and what is to be said about some of their keys.

    Attributes:
        content: What the YAML file holds.
        remarks: A sentence behind a key, by its dotted name.
        further: Lines of YAML that may be uncommented, each with its remark, by the section that they are in.
        notes: Sentences for the person who asked.
    """

    content: Mapping[str, Any]
    remarks: Mapping[str, str]
    further: Mapping[str, Sequence[tuple[str, str]]]
    notes: Sequence[str]


def draft(
    name: str, model: Mapping[str, Any], facts: Mapping[str, Any], targets: Sequence[Target], precisions: Sequence[str]
) -> Draft:
    """Write the sections.

    Args:
        name: The recipe's.
        model: Its ``model`` section; empty = an architecture that suits the samples.
        facts: What `edgepack.stages.first_look` found.
        targets: At least one.
        precisions: Of the files to make.

    Raises:
        RecipeError: A target can run none of the precisions, or the model has outputs for other classes and is
            finished.
    """
    work = _Draft(facts)
    work.content["name"] = name
    work.data()
    work.model(model)
    finished = "artifacts" in model
    if not finished:
        work.training()
        made = _exports(targets, precisions)
        work.compress({item["precision"] for item in made})
        work.content["export"] = made
        known = ", ".join(dict.fromkeys(precision for target in targets for precision in target.precisions))
        work.remarks["export"] = f"precisions that these targets run: {known}"
    work.content["targets"] = [target.name for target in targets]
    work.remarks["targets"] = "`edgepack targets` lists them; a path to your own YAML file works as well"
    work.gates(finished)
    return Draft(work.content, work.remarks, work.further, work.notes)


class _Draft:
    """A draft in the making: each method adds a section."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self.content: dict[str, Any] = {}
        self.remarks: dict[str, str] = {}
        self.further: dict[str, list[tuple[str, str]]] = {}
        self.notes: list[str] = []
        self.classes = len(facts["samples"]["labels"])

    def data(self) -> None:
        samples, section = self.facts["samples"], dict(self.facts["data"])
        counts = samples["counts"]
        total = f"{sum(counts.values()):,} samples"
        shape = f"of {samples['columns']} columns" if samples["columns"] else f"of shape {tuple(samples['shape'])}"
        kind = f"{samples['dtype']} from {samples['low']:g} to {samples['high']:g}"
        self.remarks[f"data.{next(iter(section))}"] = f"{total} {shape}, {kind}; {self.classes} classes"
        if section.get("table"):
            self.remarks["data.table"] = "columns from which nothing can be learnt: one value, numbers of lines, names"
        elif "table" in section:
            self.remarks["data.table"] = (
                "the files take raw columns: gaps, scales and categories are the model's own matter"
                if section["table"] is not None
                else "the model takes plain numbers"
            )
        if "target" in section:
            self.remarks["data.target"] = f"the column with the class; one of: {_some(samples['labels'])}"
        if "size" in section:
            self.remarks["data.size"] = "height and width to which each image is brought"
        further = self.further.setdefault("data", [])
        if not samples["columns"]:
            self._preprocessing(section)
        if samples["labels"] == [str(number) for number in range(self.classes)]:
            names = ", ".join(f"class {number}" for number in range(self.classes))
            further.append((f"labels: [{names}]", "their names, for reports and apps"))
        further.append(("split: {validation: 0.15, test: 0.15}", "shares where the data have no split of their own"))
        self.content["data"] = section

    def _preprocessing(self, section: dict[str, Any]) -> None:
        from edgepack.stages.first_look import candidates

        samples = self.facts["samples"]
        tried = sorted(self.facts["tried"], key=lambda item: -item["right"])  # the most usual stays first among equals
        best = tried[0] if tried else None
        usual = candidates(samples["low"], samples["high"])[0]
        chosen = usual if best is None else {key: best[key] for key in ("scale", "offset")}
        remark = "the model sees x * scale + offset"
        if best is not None:
            others = ", ".join(f"{item['right']:.0%} with {_plain(item)}" for item in tried[1:])
            remark = f"the model is right on {best['right']:.0%} of {best['samples']} samples; {others}"
            if best["right"] < CHANCE / self.classes:
                self.notes.append(
                    f"the model is right on {best['right']:.0%} of {best['samples']} samples at best, hardly more than "
                    "by chance: compare data.preprocessing and the order of the classes with those of its training"
                )
        plain = {key: value for key, value in chosen.items() if value != {"scale": 1.0, "offset": 0.0}[key]}
        if plain:
            section["preprocessing"] = plain
            self.remarks["data.preprocessing"] = remark
        else:
            self.further.setdefault("data", []).append(
                ("preprocessing: {scale: 1.0, offset: 0.0}", remark if best else f"{remark}; as it is, x itself")
            )

    def model(self, section: Mapping[str, Any]) -> None:
        from edgepack.stages.first_look import written

        made = dict(section) or _architecture(self.facts["samples"])
        if "zoo" in made and not section:
            self.notes.append(f"the architecture {made['zoo']} suits such samples; `edgepack models` lists all of them")
        facts = self.facts["model"]
        (first, *_) = made
        if "zoo" in made:
            self.remarks["model.zoo"] = f"`edgepack models {made['zoo']}` shows what it costs and its arguments"
        if facts is not None:
            keras = f"saved by Keras {facts['keras']}; " if facts["keras"] else ""
            shapes = " to ".join(written(facts[key]) for key in ("input_shape", "output_shape"))
            self.remarks[f"model.{first}"] = f"{keras}{shapes}"
            self._head(made, facts)
        self.content["model"] = made

    def _head(self, made: dict[str, Any], facts: Mapping[str, Any]) -> None:
        from edgepack.stages.first_look import facts_fit, written

        labels = self.facts["samples"]["labels"]
        if facts_fit(facts, self.classes):
            return
        if facts["output_shape"] == facts["input_shape"]:  # it gives back what it takes
            self.content["task"] = {"use": "anomaly", "normal": [labels[0]]}
            self.remarks["task"] = f"the model gives back its input; classes that are normal, of: {_some(labels)}"
            self.notes.append(f"the model gives back its input: {labels[0]!r} is taken for normal, see `task`")
            return
        outputs = f"outputs of shape {written(facts['output_shape'])}, but the data have {self.classes} classes"
        if "artifacts" in made:
            raise RecipeError(
                f"the finished file has {outputs}", fix="give the data that it was made for, with all of its classes"
            )
        made["new_head"] = {}
        self.remarks["model.new_head"] = f"the file has {outputs}: a new classifier is trained"
        self.notes.append(f"the model has {outputs}: it gets a new head, which is trained")

    def training(self) -> None:
        model, samples = self.content["model"], self.facts["samples"]
        count = samples["counts"]["train"]
        if "file" in model and "new_head" not in model:
            self.content["training"] = {}
            self.further["training"] = [
                ("epochs: 5", "the model is taken as it is; this would train it further"),
                ("learning_rate: 0.0001", "a low one: the weights are good already"),
            ]
            return
        epochs = 30 if count < 5000 else 20 if count < 20000 else 12
        batch = 32 if count < 5000 else 128
        section: dict[str, Any] = {"epochs": epochs, "batch_size": batch}
        section |= {"learning_rate": 0.005 if "zoo" in model and count < 5000 else 0.002, "schedule": "one_cycle"}
        if "new_head" in model:
            section["transfer"] = {}
            self.remarks["training.transfer"] = "first the new head alone, then all layers"
        self.content["training"] = section
        self.remarks["training.learning_rate"] = "the peak; `edgepack lr-find RECIPE` looks for a better one"
        further = self.further.setdefault("training", [])
        if len(samples["shape"]) == 3:
            further.append(("augment: {flip: true, shift: 2}", "mirror and shift training images"))

    def compress(self, precisions: set[str]) -> None:
        steps: list[dict[str, Any]] = []
        further = self.further.setdefault("compress", [])
        if "int8" in precisions:
            if "file" in self.content["model"] and "new_head" not in self.content["model"]:
                steps.append({"use": "int8"})
                self.remarks["compress.0"] = "quantised after training, with ranges from real samples"
                further.append(("- {use: qat, epochs: 4}", "in place of int8: trained while quantised, loses less"))
            else:
                steps.append({"use": "qat", "epochs": 4})
                self.remarks["compress.0"] = "quantisation-aware training"
                further.append(("- {use: int8}", "in place of qat: quantised after training"))
        prune = ("- {use: prune, sparsity: 0.5, epochs: 4}", "half of the weights become 0: smaller in archives")
        self.further["compress.before"] = [prune]
        self.content["compress"] = steps

    def gates(self, finished: bool) -> None:
        tested = self.facts["samples"]["counts"]["test"]
        drop = max(0.02, math.ceil(300 / tested) / 100)  # three test samples
        remark = f"of {tested:,} test samples one is {1 / tested:.2g}; a larger drop ends a run with exit code 5"
        further = [
            ("max_size_kib: 512", "a larger file: exit code 7"),
            ("max_latency_p90_ms: 20", "slower: exit code 7"),
        ]
        if drop < 1 and not finished:
            self.content["gates"] = {"max_accuracy_drop": drop}
            self.remarks["gates.max_accuracy_drop"] = remark
        else:
            self.content["gates"] = {}
            further.insert(0, ("min_accuracy: 0.9", "as a fraction: exit code 5"))
        self.further["gates"] = further


def _architecture(samples: Mapping[str, Any]) -> dict[str, Any]:
    """An architecture that suits the samples, small first."""
    shape = samples["shape"]
    if samples["columns"] or len(shape) == 1:
        return {"zoo": "mlp", "args": {"units": [32, 16]}}
    if len(shape) == 2:
        return {"zoo": "ds_cnn"}
    side = min(shape[:2])
    if side < 16:
        return {"zoo": "small_cnn", "args": {"filters": [16, 32]}}
    return {"zoo": "resnet8"} if side <= 48 else {"zoo": "mobilenet_v2", "args": {"width": 0.35}}


def _exports(targets: Sequence[Target], precisions: Sequence[str]) -> list[dict[str, str]]:
    """Every file that a target can run, the least of formats and precisions that is asked for.

    Raises:
        RecipeError: A target gets no file.
    """
    found: dict[tuple[str, str], None] = {}
    for target in targets:
        fit = [
            (name, precision)
            for name in extensions.names("edgepack.formats")
            if extensions.load("edgepack.formats", name).SUFFIX in target.formats()
            for precision in precisions
            if precision in target.precisions and _made(name, precision)
        ]
        if not fit:
            raise RecipeError(
                f"the target {target.name} runs none of the precisions {', '.join(precisions)}",
                fix=f"add one of: {', '.join(target.precisions)}",
            )
        found |= dict.fromkeys(fit)
    order = {precision: place for place, precision in enumerate(precisions)}
    pairs = sorted(found, key=lambda pair: (pair[0] != "tflite", pair[0], order[pair[1]]))
    return [{"format": name, "precision": precision} for name, precision in pairs]


def _made(name: str, precision: str) -> bool:
    """Whether a format has files of a precision at all."""
    try:
        extensions.load("edgepack.formats", name).Config(format=name, precision=precision)
    except ValueError:
        return False
    return True


def _plain(preprocessing: Mapping[str, float]) -> str:
    offset = (
        f" {'-' if preprocessing['offset'] < 0 else '+'} {abs(preprocessing['offset']):g}"
        if preprocessing["offset"]
        else ""
    )
    return f"x * {preprocessing['scale']:.4g}{offset}"


def _some(labels: Sequence[str]) -> str:
    return ", ".join(labels[:8]) + (", ..." if len(labels) > 8 else "")
