"""How much faster are MobileNetV2 and ResNet50 with half of their operations, channels removed?

    python -m benchmarks.channels            # both models, float32 and int8; about five minutes

Random weights: speed depends on shapes alone. One thread of LiteRT; original and narrowed model take turns, and each
turn counts with its fastest inference. Wall time is what the bar is about; the thread's processor time stands beside
it, because it moves far less when other work shares the machine. Writes ``benchmarks/results/channels.json``.
"""

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median, quantiles
from typing import Any

from edgepack.tf_environment import environment

os.environ.update(environment())

RESULTS = Path(__file__).parent / "results" / "channels.json"
MODELS = ("MobileNetV2", "ResNet50")
PUBLISHED_MACS = {
    "MobileNetV2": (300e6, "Sandler et al., 1801.04381"),
    "ResNet50": (3.8e9, "He et al., 1512.03385"),
}
BAR = 1.6
CLOCKS: dict[str, Callable[[], int]] = {"wall": time.perf_counter_ns, "processor": time.thread_time_ns}


def narrow(name: str, goal: float, *, size: int = 224) -> tuple[Any, Any, dict[str, Any]]:
    """Build a model of `tf_keras.applications` and a narrower one with a fraction of its operations."""
    import tf_keras

    from edgepack.channels import groups, importance, macs, remove, select
    from edgepack.channels.shapes import tensor_shapes
    from edgepack.channels.symbols import trace
    from edgepack.keras_models.graph import from_keras, to_keras
    from edgepack.techniques.prune_channels import Config

    tf_keras.utils.set_random_seed(0)
    config = Config()
    model = getattr(tf_keras.applications, name)(weights=None, input_shape=(size, size, 3))
    graph = from_keras(model)
    shapes = tensor_shapes(graph, model)
    channels = trace(graph, shapes)
    found = groups.removable(channels)
    whole, count = macs.cost(graph, shapes), macs.counter(graph, shapes, channels)
    keep = select.choose(
        found,
        importance.l1(graph, channels, found),
        lambda kept: count(kept).macs,
        goal * whole.macs,
        scope="uniform",
        limits=select.limits(found, multiple_of=config.multiple_of, min_channels=config.min_channels),
    )
    left = count(keep)
    figures: dict[str, Any] = {
        "macs_before": whole.macs,
        "macs_after": left.macs,
        "macs_fraction": left.macs / whole.macs,
        "parameters_before": whole.parameters,
        "parameters_after": left.parameters,
        "parameters_fraction": left.parameters / whole.parameters,
    }
    if name in PUBLISHED_MACS:
        figures["macs_published"], figures["macs_published_by"] = PUBLISHED_MACS[name]
    return model, to_keras(remove.remove(graph, channels, keep)), figures


def int8(model: Any, *, samples: int = 4) -> bytes:
    """Quantise after training with a few random samples: good for timing, useless for accuracy."""
    import numpy as np
    import tensorflow as tf

    from edgepack.keras_models.serving import serving

    rng = np.random.default_rng(0)
    shape = (1, *model.inputs[0].shape[1:])
    batches = [rng.uniform(size=shape).astype(np.float32) for _ in range(samples)]
    traced = serving(model, batch=1)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([traced.concrete], traced.variables)
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: ([batch] for batch in batches)
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = tf.int8
    return bytes(converter.convert())


def measure(contents: tuple[bytes, bytes], *, rounds: int, clock: Callable[[], int]) -> dict[str, Any]:
    """Time the original and the narrowed model in turn, by a clock in nanoseconds."""
    from edgepack.channels.latency import interleaved_ns

    before, after = interleaved_ns(contents, rounds=rounds, round_s=0.1, clock=clock)
    faster = [slow / fast for slow, fast in zip(before, after, strict=True)]
    low, _, high = quantiles(faster, n=4)
    return {
        "before_ms": median(before) / 1e6,
        "after_ms": median(after) / 1e6,
        "speedup": median(faster),
        "speedup_quartiles": [low, high],
        "rounds": rounds,
        "samples_ns": [before, after],
    }


def main() -> int:
    """Measure, print a line for each model and precision, write the results; 1 when float32 misses the bar."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", nargs="+", default=list(MODELS), help="names in tf_keras.applications")
    parser.add_argument(
        "--goal", type=float, default=0.5, help="fraction of multiply-accumulate operations that is left"
    )
    parser.add_argument("--rounds", type=int, default=31, help="turns of each model")
    parser.add_argument("--out", type=Path, default=RESULTS, help="where the results go")
    arguments = parser.parse_args()

    from edgepack.channels.latency import to_tflite
    from edgepack.environment import describe

    models = {}
    for name in arguments.models:
        before, after, figures = narrow(name, arguments.goal)
        for precision, convert in (("float32", to_tflite), ("int8", int8)):
            contents = convert(before), convert(after)
            figures[precision] = {
                "before_bytes": len(contents[0]),
                "after_bytes": len(contents[1]),
                **{kind: measure(contents, rounds=arguments.rounds, clock=clock) for kind, clock in CLOCKS.items()},
            }
            for kind in CLOCKS:
                found = figures[precision][kind]
                low, high = found["speedup_quartiles"]
                print(
                    f"{name} {precision} {kind}: {figures['macs_before'] / 1e6:.0f} M MACs "
                    f"x {figures['macs_fraction']:.3f}, {found['before_ms']:.2f} -> {found['after_ms']:.2f} ms, "
                    f"{found['speedup']:.2f}x faster (quartiles {low:.2f} to {high:.2f})",
                    flush=True,
                )
        models[name] = figures
    command = " ".join(["python -m benchmarks.channels", *sys.argv[1:]])
    document = {
        "schema": "edgepack.benchmarks.channels/1",
        "command": command,
        "protocol": "LiteRT, 1 thread, batch 1; models take turns of 0.1 s; fastest inference of each turn; "
        "speedup = median over the turns of before / after in the same turn",
        "environment": {**describe(), "load_average": os.getloadavg(), "platform": platform.platform()},
        "bar": BAR,
        "models": models,
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(document, indent=1) + "\n")
    return int(any(figures["float32"]["wall"]["speedup"] < BAR for figures in models.values()))


if __name__ == "__main__":
    sys.exit(main())
