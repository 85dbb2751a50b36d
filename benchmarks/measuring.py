"""Does measuring add anything, and how often are comparisons and the gate right?

    python benchmarks/measuring.py                          # table in docs/measuring.md from what was measured
    python benchmarks/measuring.py --run                    # do what is missing: an hour and a half on a quiet machine
    python benchmarks/measuring.py --run --parts same slower --trials 5
    python benchmarks/measuring.py --run --again            # forget what was measured
    python benchmarks/measuring.py --run --together         # all parts at once: a busy machine, and half the time

ResNet-8 with random weights, float32 and int8, in LiteRT and ONNX Runtime, one thread. Parts, each resumed where it was
stopped:

- ``agreement``: the median that `edgepack.runner` finds against that of a loop written here, which calls the runtime
  directly; both in one process, in turns of a tenth of a second, in ten fresh processes for each file.
- ``overhead``: what the runner's loop times when the model does nothing.
- ``same``: `compare` of a file with itself.
- ``slower``: `compare` of a file with itself under a session which after each inference waits a tenth of its time.
- ``gate``: `edgepack bench --baseline` of the file that the baseline is of.
- ``regression``: the same of the network with one convolution twice.

Results: ``benchmarks/results/measuring.json``, the table in ``docs/measuring.md``.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from edgepack.environment import describe
from edgepack.tf_environment import environment

ROOT = Path(__file__).resolve().parents[1]
WORK = ROOT / "out" / "benchmarks" / "measuring"
RESULTS = ROOT / "benchmarks" / "results" / "measuring.json"
PAGE = ROOT / "docs" / "measuring.md"
BEGIN, END = "<!-- measured: python benchmarks/measuring.py --run -->", "<!-- end of what was measured -->"
FOLDERS = [str(ROOT), str(ROOT / "benchmarks"), *filter(None, [os.environ.get("PYTHONPATH")])]
ENVIRONMENT = {**environment(), "PYTHONPATH": os.pathsep.join(FOLDERS)}

DOUBLED = "stage1_a_conv"
FILES = ("float32.tflite", "int8.tflite", "float32.onnx", "int8.onnx")
COMPARED = "float32.tflite"
ROUNDS, TURNS, TURN_S = 10, 10, 0.1
TIMEOUT_S = 1200
SAVING = threading.Lock()
SLOWED = '''"""What is the same model a tenth slower?"""

import time

from .litert import ACCELERATOR, EXCLUDE, FORMAT, MODULE, REQUIREMENTS, version
from .litert import Session as Plain


class Session(Plain):
    def __init__(self, path, threads=1):
        super().__init__(path, threads)
        quick, clock_ns = self.invoke, time.perf_counter_ns

        def slowed():
            begun_ns = clock_ns()
            quick()
            end_ns = begun_ns + (clock_ns() - begun_ns) * 11 // 10
            while clock_ns() < end_ns:
                pass

        self.invoke = slowed
'''

Part = Callable[[list[dict[str, Any]], int], dict[str, Any] | None]


def main() -> None:
    """Measure if asked to, then print and write what is known."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", action="store_true", help="measure what is missing")
    parser.add_argument("--again", action="store_true", help="with --run: measure the chosen parts anew")
    parser.add_argument("--parts", nargs="*", default=list(PARTS), choices=list(PARTS))
    parser.add_argument("--trials", type=int, default=100, help="comparisons of each kind; a fifth as many gates")
    parser.add_argument("--together", action="store_true", help="measure the chosen parts at the same time")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where to keep them (%(default)s)")
    parser.add_argument("--make", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--agree", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.make:
        make()
        return
    if arguments.agree:
        print(json.dumps(agree(WORK / "plain" / arguments.agree)))
        return
    document = json.loads(arguments.results.read_text()) if arguments.results.exists() else {"parts": {}}
    if arguments.run:
        if not (WORK / "made").exists():
            subprocess.run([sys.executable, __file__, "--make"], env=ENVIRONMENT, cwd=ROOT, check=True)
        place_runner()
        lock = threading.Lock()
        command = "python benchmarks/measuring.py --run" + (" --together" if arguments.together else "")

        def measure(name: str) -> None:
            done = [] if arguments.again else document["parts"].get(name, [])
            while (found := PARTS[name](done, arguments.trials)) is not None:
                with lock:
                    done.append(found | ({"together": True} if arguments.together else {}))
                    document["parts"][name] = done
                    document.update(command=command, environment=describe())
                    arguments.results.write_text(json.dumps(document, indent=1) + "\n")
                    print(f"{name} {len(done)}: {json.dumps(found)}", flush=True)

        with ThreadPoolExecutor(len(arguments.parts) if arguments.together else 1) as pool:
            list(pool.map(measure, arguments.parts))
    if document["parts"]:
        print(table(document["parts"]))
        if arguments.results == RESULTS:
            write(table(document["parts"]))


def make() -> None:
    """Write ResNet-8 as edgepack exports it, and with one convolution twice."""
    import numpy as np
    import tf_keras
    from exporting import export

    from edgepack import extensions

    tf_keras.utils.set_random_seed(0)
    module = extensions.load("edgepack.zoo", "resnet8")
    plain = module.build(module.Config(), input_shape=(32, 32, 3), classes=10)
    samples = np.random.default_rng(0).uniform(0, 1, (32, 32, 32, 3)).astype(np.float32)
    for name, model in (("plain", plain), ("doubled", doubled(plain))):
        shutil.rmtree(WORK / name, ignore_errors=True)
        (WORK / name).mkdir(parents=True)
        export(model, samples, WORK / name)
    (WORK / "made").write_text("")


def place_runner() -> None:
    """Put the runner of today into a folder of its own, with one more session."""
    device = WORK / "device"
    shutil.rmtree(device, ignore_errors=True)
    shutil.copytree(ROOT / "edgepack" / "runner", device / "runner", ignore=shutil.ignore_patterns("__pycache__"))
    (device / "runner" / "sessions" / "slowed.py").write_text(SLOWED)


def doubled(model: Any) -> Any:
    """The same network in which one layer comes twice, one after the other."""
    import tf_keras

    made: dict[int, Any] = {}
    for layer in model.layers:
        if isinstance(layer, tf_keras.layers.InputLayer):
            made[id(layer.output)] = tf_keras.Input(layer.input_shape[0][1:], name=layer.name)
            continue
        given = layer.input if isinstance(layer.input, list) else [layer.input]
        inputs = [made[id(tensor)] for tensor in given]
        config = layer.get_config()
        answer = type(layer).from_config(config)(inputs if len(inputs) > 1 else inputs[0])
        if layer.name == DOUBLED:
            answer = type(layer).from_config({**config, "name": f"{layer.name}_again"})(answer)
        made[id(layer.output)] = answer
    return tf_keras.Model(made[id(model.input)], made[id(model.output)], name=f"{model.name}_doubled")


def agreement(done: list[dict[str, Any]], trials: int) -> dict[str, Any] | None:
    """One fresh process that measures one file in both ways."""
    for file in FILES:
        if sum(one["file"] == file for one in done) < ROUNDS:
            argv = [sys.executable, __file__, "--agree", file]
            return {"file": file, **json.loads(run(argv, ENVIRONMENT).stdout)}
    return None


def agree(path: Path) -> dict[str, float]:
    """Medians of the runner's loop and of one that uses the runtime directly, in turns."""
    from edgepack.runner import noise
    from edgepack.runner.sampling import sample
    from edgepack.runner.sessions import for_file, open_session

    ours: list[float] = []
    theirs: list[float] = []
    with open_session(for_file(path), path) as session:
        values = {spec.name: noise.samples(spec) for spec in session.inputs}
        feeds = [{name: value[i] for name, value in values.items()} for i in range(noise.SAMPLES)]
        loop = independent(path, [next(iter(feed.values())) for feed in feeds])
        loop(TURN_S)
        sample(session, feeds, min_runs=1, min_time_s=TURN_S, max_time_s=TURN_S)
        for _ in range(TURNS):
            taken = sample(session, feeds, min_runs=1, min_time_s=TURN_S, max_time_s=TURN_S)
            ours.append(statistics.median(taken) / 1e6)
            theirs.append(statistics.median(loop(TURN_S)) / 1e6)
    pairs = [one / other for one, other in zip(ours, theirs, strict=True)]
    return {
        "ours_ms": statistics.median(ours),
        "theirs_ms": statistics.median(theirs),
        "ratio": statistics.median(pairs),
    }


def independent(path: Path, inputs: list[Any]) -> Callable[[float], list[int]]:
    """A timing loop of its own on a model of its own: what the runtimes' guides show, and a clock around the call."""
    import numpy as np

    feed: Callable[[Any], object]
    invoke: Callable[[], object]
    if path.suffix == ".tflite":
        from ai_edge_litert.interpreter import Interpreter

        interpreter = Interpreter(str(path), num_threads=1)
        interpreter.allocate_tensors()
        index = interpreter.get_input_details()[0]["index"]
        feed, invoke = lambda array: interpreter.set_tensor(index, array), interpreter.invoke
    else:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        options.add_session_config_entry("session.x64quantprecision", "1")  # as edgepack opens it: exact products
        session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        buffer = np.empty_like(inputs[0])
        binding = session.io_binding()
        binding.bind_ortvalue_input(session.get_inputs()[0].name, onnxruntime.OrtValue.ortvalue_from_numpy(buffer))
        binding.bind_output(session.get_outputs()[0].name, "cpu")
        feed, invoke = lambda array: np.copyto(buffer, array), lambda: session.run_with_iobinding(binding)

    def loop(length_s: float) -> list[int]:
        times_ns: list[int] = []
        end_s, number = time.monotonic() + length_s, 0
        while time.monotonic() < end_s:
            feed(inputs[number % len(inputs)])
            number += 1
            begun_ns = time.perf_counter_ns()
            invoke()
            times_ns.append(time.perf_counter_ns() - begun_ns)
        return times_ns

    return loop


def overhead(done: list[dict[str, Any]], trials: int) -> dict[str, Any] | None:
    """What the loop times of a model that does nothing."""
    from edgepack.runner.sampling import sample

    class Nothing:
        def set_inputs(self, feed: object) -> None:
            pass

        def invoke(self) -> None:
            pass

    if len(done) >= ROUNDS:
        return None
    taken = sample(Nothing(), [{}], min_runs=100_000, min_time_s=0, max_time_s=60)  # type: ignore[arg-type]
    ordered = sorted(taken)
    return {"p50_us": ordered[len(ordered) // 2] / 1e3, "p99_us": ordered[len(ordered) * 99 // 100] / 1e3}


def same(done: list[dict[str, Any]], trials: int) -> dict[str, Any] | None:
    """A file against itself."""
    return None if len(done) >= trials else compared("litert")


def slower(done: list[dict[str, Any]], trials: int) -> dict[str, Any] | None:
    """A file against itself with added work."""
    return None if len(done) >= trials else compared("slowed")


def compared(runtime: str) -> dict[str, Any]:
    """One comparison by the runner with its defaults, in a folder where it stands alone."""
    words = ["--a", WORK / "plain" / COMPARED, "--b", WORK / "plain" / COMPARED, "--b-runtime", runtime]
    argv = [sys.executable, "-m", "runner", "compare", "--a-runtime", "litert", *map(str, words)]
    begun = time.monotonic()
    found = json.loads(run(argv, {**os.environ, "PYTHONPATH": str(WORK / "device")}).stdout)
    known = {key: found[key] for key in ("ratio", "interval", "significant")}
    return {**known, "rounds": len(found["rounds"]), "seconds": round(time.monotonic() - begun, 1)}


def gate(done: list[dict[str, Any]], trials: int) -> dict[str, Any] | None:
    """The baseline's own file once more; the baseline itself comes first."""
    if len(done) >= max(1, trials // 5):
        return None
    have_baseline(anew=not done)
    return judged("plain")


def regression(done: list[dict[str, Any]], trials: int) -> dict[str, Any] | None:
    """The network with a layer twice, against the baseline of the network."""
    if len(done) >= max(1, trials // 20):
        return None
    have_baseline()
    return judged("doubled")


def have_baseline(anew: bool = False) -> None:
    """Measure the network's own file as the baseline, where there is none yet; one part at a time."""
    with SAVING:
        if anew or not (WORK / "baseline.json").exists():
            judged("plain", "--save-baseline")


def judged(folder: str, *words: str) -> dict[str, Any]:
    """One call of the command, with its exit code."""
    begun = time.monotonic()
    argv = [sys.executable, "-m", "edgepack.cli.main", "bench", str(WORK / folder / COMPARED), "--json"]
    argv += ["--baseline", str(WORK / "baseline.json"), "--fail-above", "5%", *words]
    done = run(argv, ENVIRONMENT, codes=(0, 7))
    found = json.JSONDecoder().raw_decode(done.stdout)[0]
    flags = sorted({flag["kind"] for result in found["results"] for flag in result["flags"]})
    judgement = (found.get("judgements") or [{}])[0]
    known = {key: judgement.get(key) for key in ("verdict", "ratio", "interval", "note")}
    return {"exit_code": done.returncode, **known, "flags": flags, "seconds": round(time.monotonic() - begun, 1)}


def run(
    argv: list[str], environment: Mapping[str, str], codes: tuple[int, ...] = (0,)
) -> subprocess.CompletedProcess[str]:
    """Run a program, which must end with one of these codes."""
    done = subprocess.run(
        argv, env=dict(environment), cwd=ROOT, capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    if done.returncode not in codes:
        sys.exit(f"{' '.join(argv)} ended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done


PARTS: dict[str, Part] = {
    "agreement": agreement,
    "overhead": overhead,
    "same": same,
    "slower": slower,
    "gate": gate,
    "regression": regression,
}


def table(parts: Mapping[str, list[dict[str, Any]]]) -> str:
    """What is known, as Markdown."""
    rows = []
    for file in FILES:
        ratios = [one["ratio"] for one in parts.get("agreement", ()) if one["file"] == file]
        if ratios:
            middle = statistics.median(ratios) - 1
            spread = f"from {min(ratios) - 1:+.1%} to {max(ratios) - 1:+.1%} in {len(ratios)} processes"
            rows.append((f"p50 of `{file}` against an independent loop", f"{middle:+.2%}, {spread}", "within 3 %"))
    if idle := parts.get("overhead"):
        p50, p99 = (statistics.median(one[key] for one in idle) for key in ("p50_us", "p99_us"))
        rows.append(("timed when a model does nothing, p50 and p99", f"{p50:.2f} and {p99:.2f} µs", "under 2 µs"))
    for name, what, wanted in (
        ("same", "file against itself: no significant difference", False),
        ("slower", "file against itself, 10 % slower: found", True),
    ):
        if trials := parts.get(name):
            right = sum(one["significant"] is wanted and (not wanted or one["ratio"] > 1) for one in trials)
            middle, half = statistics.median(one["ratio"] for one in trials), _half(trials)
            beside = ", another comparison on the other core" if trials[0].get("together") else ""
            found = f"{right} of {len(trials)}{beside}; median ratio {middle:.3f}, interval ± {half:.1%}"
            rows.append((what, found, "95 of 100"))
    for name, what, code, wish in (
        ("gate", "gate on an unchanged file: no failure", 0, "20 of 20"),
        ("regression", "gate on a network with one convolution twice: failure", 7, "every time"),
    ):
        if trials := parts.get(name):
            right = sum(one["exit_code"] == code for one in trials)
            told = sum(one["verdict"] == "cannot tell" for one in trials)
            middle = statistics.median(one["ratio"] for one in trials)
            rows.append((what, f"{right} of {len(trials)}; median ratio {middle:.3f}, {told} could not tell", wish))
    lines = ["| what | found | wanted |", "|---|---|---|", *(f"| {' | '.join(row)} |" for row in rows)]
    return "\n".join(lines)


def _half(trials: list[dict[str, Any]]) -> float:
    return float(statistics.median((one["interval"][1] - one["interval"][0]) / 2 / one["ratio"] for one in trials))


def write(text: str) -> None:
    """Put the table into the page."""
    page = PAGE.read_text()
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{text}\n\n{END}{after}")


if __name__ == "__main__":
    main()
