"""Does a model reach a micro-controller's source, and does the source hold that very model?"""

import json
import shutil
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import Edgepack

from edgepack.runner.infer import predict
from edgepack.runner.sessions import open_session

pytestmark = pytest.mark.skipif(
    find_spec("tflite_micro") is None, reason="tflite-micro has wheels for Linux on x86-64 only"
)

RECIPE = """\
name: gear-box
data: {sklearn: digits, image_shape: [8, 8, 1], preprocessing: {scale: 0.0625}}
model: {zoo: small_cnn, args: {filters: [8, 8]}}
training: {epochs: 2}
export:
  - {format: tflite, precision: int8}
  - {format: tflite, precision: float32}
  - {format: tflite, precision: int16x8}
targets: [mcu-cortex-m, ethos-u55]
verify: {samples: 60, golden: 8}
"""

MAIN = """\
#include <stdio.h>
#include <stdint.h>
#include "gear_box_int8.h"
#include "gear_box_int8_golden.h"
int main() {
  fwrite(gear_box_int8, 1, gear_box_int8_size, stdout);
  fprintf(stderr, "%d %d %d %zu", GEAR_BOX_INT8_BYTES, GEAR_BOX_INT8_ARENA_BYTES, GEAR_BOX_INT8_OPERATIONS,
          reinterpret_cast<uintptr_t>(gear_box_int8) % 16);
  return sizeof gear_box_int8_golden_input != 64;
}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, edgepack: Edgepack) -> Path:
    folder = tmp_path_factory.mktemp("firmware")
    (folder / "recipe.yaml").write_text(RECIPE)
    done = edgepack("run", folder / "recipe.yaml", "--out", folder / "out")
    assert done.returncode == 0, done.stderr
    return folder / "out" / "gear-box"


def packages(run: Path, target: str) -> dict[str, Any]:
    document = json.loads((run / target / "firmware" / "firmware.json").read_text())
    return {package["artifact"]: package for package in document["packages"]}


def test_the_interpreter_of_firmware_computes_what_the_reference_kernels_compute(run: Path) -> None:
    pairs = json.loads((run / "mcu-cortex-m" / "verify.json").read_text())["pairs"]
    micro = {pair["b"]["file"]: pair for pair in pairs if pair["b"]["runtime"] == "tflite_micro"}
    compared = {pair["b"]["file"]: pair for pair in pairs if pair["a"]["kernels"] == "reference"}
    assert micro.keys() == {"model.int8.tflite", "model.float32.tflite", "model.int16x8.tflite"}
    assert compared["model.int8.tflite"]["max_lsb_difference"] == 0
    assert compared["model.int8.tflite"]["status"] == "ok"
    assert compared["model.int8.tflite"]["samples"] == 60
    assert compared["model.float32.tflite"]["max_abs_difference"] == 0


@pytest.mark.skipif(shutil.which("g++") is None, reason="no C++ compiler")
def test_the_compiled_array_is_the_verified_file(run: Path, tmp_path: Path) -> None:
    sources = run / "mcu-cortex-m" / "firmware"
    (tmp_path / "main.cc").write_text(MAIN)
    words = ["g++", "-std=c++11", "-Wall", "-Wextra", "-Werror", "-Wno-unused-variable", "-I", str(sources)]
    binary = tmp_path / "main"
    subprocess.run(
        [*words, str(tmp_path / "main.cc"), str(sources / "gear_box_int8.cc"), "-o", str(binary)], check=True
    )
    done = subprocess.run([str(binary)], capture_output=True, check=True)
    content = (run / "mcu-cortex-m" / "model.int8.tflite").read_bytes()
    assert done.stdout == content
    package = packages(run, "mcu-cortex-m")["model.int8.tflite"]
    wanted = [len(content), package["arena_bytes"], len(package["operations"]), 0]
    assert [int(word) for word in done.stderr.split()] == wanted


def test_the_arena_suffices_and_half_of_it_does_not(run: Path) -> None:
    from tflite_micro.python.tflite_micro import runtime

    arena = packages(run, "mcu-cortex-m")["model.int8.tflite"]["arena_bytes"]
    content = (run / "mcu-cortex-m" / "model.int8.tflite").read_bytes()
    runtime.Interpreter.from_bytes(content, arena_size=arena).invoke()
    with pytest.raises(RuntimeError):
        runtime.Interpreter.from_bytes(content, arena_size=arena // 2)


def test_the_golden_header_has_the_sample_and_the_answer(run: Path) -> None:
    text = (run / "mcu-cortex-m" / "firmware" / "gear_box_int8_golden.h").read_text()
    numbers = [part.split("{")[1].split("}")[0] for part in text.split("static const int8_t")[1:]]
    read = [np.array([int(word) for word in part.replace("\n", " ").split(",") if word.strip()]) for part in numbers]
    model = run / "mcu-cortex-m" / "model.int8.tflite"
    with open_session("litert", model, kernels="reference") as session:
        session.set_inputs({session.inputs[0].name: read[0].astype(np.int8).reshape(1, 8, 8, 1)})
        session.invoke()
        assert np.array_equal(session.get_outputs()[session.outputs[0].name].ravel(), read[1])


def test_the_npu_takes_everything_and_its_compiler_estimates_time_and_memory(run: Path) -> None:
    package = packages(run, "ethos-u55")["model.int8.tflite"]
    assert package["operations"] == ["EthosU"]
    assert package["nodes"] == package["nodes_delegated"] > 3
    assert package["inference_ms"] == pytest.approx(package["cycles"] / package["clock_mhz"] / 1000, rel=1e-3)
    assert 0 < package["sram_bytes"] < 2**20
    header = (run / "ethos-u55" / "firmware" / package["files"][0]).read_text()
    assert f"_NPU_CYCLES {package['cycles']}" in header
    assert f"_SRAM_BYTES {package['sram_bytes']}" in header


def test_bundles_verify_and_the_report_tells_of_the_firmware(run: Path, edgepack: Edgepack) -> None:
    for target in ("mcu-cortex-m", "ethos-u55"):
        done = edgepack("verify", run / target)
        assert done.returncode == 0, done.stderr
    page = (run / "report.html").read_text()
    assert "<h2>Firmware</h2>" in page
    assert "at 500 MHz" in page
    assert "the target has firmware in place of an image" in (run / "report.md").read_text()


def test_a_second_run_has_nothing_to_do_and_an_image_is_refused(run: Path, edgepack: Edgepack) -> None:
    recipe = run.parent.parent / "recipe.yaml"
    done = edgepack("run", recipe, "--out", run.parent)
    assert done.returncode == 0
    assert "nothing to do" in done.stdout + done.stderr
    done = edgepack("image", run / "mcu-cortex-m")
    assert done.returncode == 2
    assert "the target mcu-cortex-m has no image" in done.stderr


def test_a_budget_of_memory_is_missed_by_name(run: Path, tmp_path: Path, edgepack: Edgepack) -> None:
    (tmp_path / "tight.yaml").write_text(
        "description: too little memory\nplatform: baremetal/cortex-m\nruntimes: [tflite_micro]\nprecisions: [int8]\n"
        "budgets: {arena_kib: 1}\nfirmware: c_array\n"
    )
    recipe = run.parent.parent / "recipe.yaml"
    done = edgepack("run", recipe, "--out", run.parent, "--target", tmp_path / "tight.yaml")
    assert done.returncode == 7
    assert "misses arena_kib" in done.stderr


def test_what_the_npu_cannot_take_fails_its_gate(run: Path, tmp_path: Path, edgepack: Edgepack) -> None:
    (tmp_path / "npu.yaml").write_text(
        "description: an NPU that is asked for floats\nplatform: baremetal/cortex-m\nruntimes: [tflite_micro]\n"
        "precisions: [float32]\nmin_delegated: 0.5\nfirmware: {use: ethos_u}\n"
    )
    recipe = run.parent.parent / "recipe.yaml"
    done = edgepack("run", recipe, "--out", run.parent, "--target", tmp_path / "npu.yaml")
    assert done.returncode == 5
    assert "misses min_delegated: 0, limit 0.5 (not delegated: CONV_2D" in done.stderr


def test_half_precision_is_no_file_for_micro_controllers(tmp_path: Path, run: Path, edgepack: Edgepack) -> None:
    (tmp_path / "recipe.yaml").write_text(
        RECIPE.replace("precision: int16x8", "precision: float16").replace("mcu-cortex-m, ethos-u55", "half.yaml")
    )
    (tmp_path / "half.yaml").write_text(
        "description: half\nplatform: baremetal/cortex-m\nruntimes: [tflite_micro]\nprecisions: [float16]\n"
        "firmware: c_array\n"
    )
    shutil.copytree(run.parent, tmp_path / "out")
    done = edgepack("run", tmp_path / "recipe.yaml", "--out", tmp_path / "out")
    assert done.returncode == 5
    assert "TensorFlow Lite for Microcontrollers" in done.stderr


def test_predict_goes_through_the_interpreter_of_firmware(run: Path) -> None:
    golden = np.load(run / "mcu-cortex-m" / "golden.npz")
    with open_session("tflite_micro", run / "mcu-cortex-m" / "model.int8.tflite") as session:
        raw, _ = predict(session, golden["input"])
    assert np.array_equal(raw, golden["output/model.int8.tflite/tflite_micro"])
