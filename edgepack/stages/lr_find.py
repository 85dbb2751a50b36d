"""At which learning rates does the recipe's model learn?"""

import json
from typing import Any

from edgepack import dataset
from edgepack.stages.request import KERAS, Request

LIBRARIES = KERAS


def run(request: Request) -> dict[str, Any]:
    """Train a fresh model at growing rates; writes ``lr-find.json`` and ``lr-find.svg``.

    ``options``: ``low``, ``high`` (learning rates), ``steps``.
    """
    import math

    import tf_keras

    from edgepack.stages.determinism import make_deterministic
    from edgepack.stages.train import fresh_model
    from edgepack.training import transfer
    from edgepack.training.batches import span_of, training_batches
    from edgepack.training.fit import check_fits, compile_model
    from edgepack.training.range_test import DIVERGED, growing, smoothed, suggest
    from edgepack.training.rates import by_variable

    recipe, options = request.recipe, request.options
    make_deterministic(recipe.seed)
    data = dataset.load(request.inputs["data"])
    start = fresh_model(request, data)
    model = start.model
    check_fits(model, data)
    factors = None
    if recipe.training.transfer is not None:
        model = transfer.flat(model)
        first, *_ = transfer.plan(model, recipe.training.transfer, recipe.training.epochs or 0, start.fresh)
        transfer.freeze(model, first.layers)
        factors = by_variable(model, first.layers)
    steps = int(options["steps"])
    rate = growing(options["low"], options["high"], steps)
    rates: list[float] = []
    losses: list[float] = []

    class Test(tf_keras.callbacks.Callback):  # type: ignore[misc] # tf_keras has no type information
        def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
            self.model.reset_metrics()  # Keras gives the mean since the last reset as the loss of a step

        def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
            rates.append(rate(len(rates)))
            losses.append(float(logs["loss"]))
            request.progress({"label": "lr-find", "step": len(rates), "steps": steps, "text": f"{rates[-1]:.1e}"})
            now = smoothed(losses)
            if not math.isfinite(losses[-1]) or now[-1] > DIVERGED * min(now):
                self.model.stop_training = True

    training = recipe.training.model_copy(update={"steps_per_execution": 1, "precision": "float32"})
    compile_model(model, data.task, training, [rate(step) for step in range(steps)], factors=factors)
    one = span_of(data, training, 1)
    span = span_of(data, training, -(-steps // one.steps_per_epoch))
    outputs = int(model.outputs[0].shape[-1])
    batches = training_batches(data, training, seed=recipe.seed, outputs=outputs, span=span)
    model.fit(batches, epochs=1, steps_per_epoch=steps, verbose=0, callbacks=[Test()])
    finite = [index for index, loss in enumerate(losses) if math.isfinite(loss)]
    rates, losses = [rates[index] for index in finite], [losses[index] for index in finite]
    curve = smoothed(losses)
    found = suggest(rates, curve)
    record = {
        "suggested": found.rate if found else None,
        "bound": found.bound if found else None,
        "rates": rates,
        "losses": losses,
        "smoothed": curve,
    }
    (request.out / "lr-find.json").write_text(json.dumps(record, indent=1) + "\n")
    _draw(record, request.out / "lr-find.svg")
    return {"suggested": record["suggested"], "bound": record["bound"]}


def _draw(record: dict[str, Any], path: Any) -> None:
    """Loss against learning rate, with the suggestion."""
    from matplotlib.ticker import FuncFormatter

    from edgepack.report import svg

    with svg.style():
        figure = svg.new_figure(6.0, 3.6)
        axes = figure.add_subplot()
        axes.plot(record["rates"], record["losses"], linewidth=0.8, alpha=0.4)
        axes.plot(record["rates"], record["smoothed"], linewidth=1.6)
        top = max(record["smoothed"])
        for key, text, height in (("suggested", "suggested: ", 1.02), ("bound", "smallest loss: ", 0.94)):
            if record[key]:
                axes.axvline(record[key], linewidth=0.8, linestyle="--")
                axes.annotate(f"{text}{record[key]:.1e} ", (record[key], height * top), ha="right", fontsize=8)
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{rate:.0e}"))
        axes.set_ylim(0, 1.1 * max(record["smoothed"]))
        axes.set_xlabel("learning rate")
        axes.set_ylabel("training loss")
        figure.savefig(path, format="svg")
