"""Stands for LiteRT's ``benchmark_model``, which no package has: real inferences by LiteRT, its options, its words.

The first line of the file that a test sends to its phone names this Python. What it cannot do (delegates of phones) it
says as the real one does.
"""

import os
import statistics
import sys
import time
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter

KNOWN = (
    "graph", "num_threads", "warmup_runs", "warmup_min_secs", "num_runs", "min_secs", "max_secs", "input_layer",
    "input_layer_shape", "input_layer_value_files", "output_filepath", "use_gpu", "use_nnapi", "nnapi_accelerator_name",
    "enable_op_profiling", "report_peak_memory_footprint",
)  # fmt: skip


def main() -> int:
    given = dict(word.removeprefix("--").split("=", 1) for word in sys.argv[1:])
    unknown = [f"--{key}={value}" for key, value in given.items() if key not in KNOWN]
    print("INFO: STARTING!")
    if unknown:
        print(f"INFO: Unconsumed cmdline flags: {' '.join(unknown)}")
    print(f"INFO: Graph: [{given['graph']}]")
    print(f"INFO: #threads used for CPU inference: [{given['num_threads']}]")
    begin = time.perf_counter()
    if given.get("use_gpu") == "true":
        print("INFO: Created TensorFlow Lite delegate for GPU.")
        print("INFO: Though GPU delegate is explicitly applied, the model graph will not be executed by the delegate.")
    sys.stdout.flush()
    if "crash" in Path(given["graph"]).name:
        print("ERROR: the stand-in was told to crash", flush=True)
        os.abort()
    interpreter = Interpreter(given["graph"], num_threads=int(given["num_threads"]))
    interpreter.allocate_tensors()
    (spec,) = interpreter.get_input_details()
    shape = (
        [int(size) for size in given["input_layer_shape"].split(",")] if "input_layer_shape" in given else spec["shape"]
    )
    interpreter.resize_tensor_input(spec["index"], shape)
    interpreter.allocate_tensors()
    nodes = len(interpreter._get_ops_details())
    print(
        f"VERBOSE: Replacing 2 out of {nodes} node(s) with delegate (TfLiteXNNPackDelegate) node, "
        "yielding 2 partitions for subgraph 0."
    )
    if "input_layer_value_files" in given:
        name, _, path = given["input_layer_value_files"].partition(":")
        assert name == given["input_layer"]
        sample = np.frombuffer(Path(path).read_bytes(), spec["dtype"]).reshape(shape)
    else:
        sample = np.zeros(shape, spec["dtype"])
    interpreter.set_tensor(spec["index"], sample)
    init_us = round((time.perf_counter() - begin) * 1e6)
    print(f"INFO: Initialized session in {init_us / 1e3:g}ms.")
    warmup = rows(interpreter, int(given["warmup_runs"]), float(given["warmup_min_secs"]), float(given["max_secs"]))
    timed = rows(interpreter, int(given["num_runs"]), float(given["min_secs"]), float(given["max_secs"]))
    print(
        f"INFO: Inference timings in us: Init: {init_us}, First inference: {warmup[0]}, "
        f"Warmup (avg): {statistics.fmean(warmup):g}, Inference (avg): {statistics.fmean(timed):g}"
    )
    print("INFO: Memory footprint delta from the start of the tool (MB): init=1.5 overall=2.25")
    if "output_filepath" in given:
        (answer,) = interpreter.get_output_details()
        Path(given["output_filepath"]).write_bytes(interpreter.get_tensor(answer["index"]).tobytes())
    if given.get("report_peak_memory_footprint") == "true":
        print("INFO: Overall peak memory footprint (MB) via periodic monitoring: 12.5")
    if given.get("enable_op_profiling") == "true":
        print("============================== Summary by node type ==============================")
        print("\t             [Node type]\t  [count]\t  [avg ms]\t    [avg %]\t    [cdf %]\t  [mem KB]\t[times called]")
        print("\t                 CONV_2D\t        2\t     0.406\t    80.000%\t    80.000%\t     0.000\t        2")
        print("\t         FULLY_CONNECTED\t        1\t     0.101\t    20.000%\t   100.000%\t     0.000\t        1")
        print("\nTimings (microseconds): count=10 first=507 curr=507 min=507 max=507 avg=507 std=0")
    return 0


def rows(interpreter: Interpreter, at_least: int, min_s: float, max_s: float) -> list[int]:
    print(
        f"INFO: Running benchmark for at least {at_least} iterations and at least {min_s:g} seconds but terminate if "
        f"exceeding {max_s:g} seconds."
    )
    begin = time.perf_counter()
    taken: list[int] = []
    while (len(taken) < at_least or time.perf_counter() - begin < min_s) and time.perf_counter() - begin <= max_s:
        start = time.perf_counter_ns()
        interpreter.invoke()
        taken.append((time.perf_counter_ns() - start) // 1000)
    ordered = sorted(taken)
    p5, median, p95 = (ordered[len(ordered) * share // 100] for share in (5, 50, 95))
    print(
        f"INFO: count={len(taken)} first={taken[0]} curr={taken[-1]} min={ordered[0]} max={ordered[-1]} "
        f"avg={statistics.fmean(taken):g} std={int(statistics.pstdev(taken))} p5={p5} median={median} p95={p95}\n"
    )
    sys.stdout.flush()
    return taken


if __name__ == "__main__":
    sys.exit(main())
