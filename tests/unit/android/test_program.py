"""Do the words for benchmark_model mean what was asked for, and is a delegate that did nothing noticed?"""

from pathlib import PurePosixPath

import pytest

from edgepack.android.address import Settings
from edgepack.android.delegates import Taken
from edgepack.android.measure import Protocol
from edgepack.android.output import Output, Timing
from edgepack.android.program import Sample, fell_back, words

MODEL = PurePosixPath("/data/local/tmp/edgepack/model.tflite")


def test_the_words_of_a_run_on_the_processor() -> None:
    sample = Sample(PurePosixPath("/data/local/tmp/edgepack/model.tflite.0.bin"), (1, 8, 8, 1))
    assert words(Settings(), MODEL, 4, Protocol(1.0, 51, 10.0, 60.0).each, sample) == [
        "--graph=/data/local/tmp/edgepack/model.tflite",
        "--num_threads=4",
        "--warmup_runs=1",
        "--warmup_min_secs=1",
        "--num_runs=11",
        "--min_secs=2",
        "--max_secs=12",
        "--input_layer=sample",
        "--input_layer_shape=1,8,8,1",
        "--input_layer_value_files=sample:/data/local/tmp/edgepack/model.tflite.0.bin",
        "--output_filepath=/data/local/tmp/edgepack/answer.bin",
    ]


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        (Settings(delegate="gpu"), ["--use_gpu=true"]),
        (Settings(delegate="nnapi", accelerator="dsp"), ["--use_nnapi=true", "--nnapi_accelerator_name=dsp"]),
        (Settings(delegate="gpu", arguments=("--gpu_backend=gl",)), ["--use_gpu=true", "--gpu_backend=gl"]),
        (
            Settings(delegate="npu"),
            [
                "--use_npu=true",
                "--dispatch_library_path=/data/local/tmp/edgepack",
                "--compiler_plugin_library_path=/data/local/tmp/edgepack",
            ],
        ),
    ],
)
def test_the_words_for_delegates(settings: Settings, expected: list[str]) -> None:
    assert words(settings, MODEL, 1, Protocol().each, None)[7:] == expected


def test_how_often_it_is_started() -> None:
    assert (Protocol().runs, Protocol(processes=9).runs, Protocol(quick=True).runs) == (5, 9, 1)


XNNPACK, GPU = Taken("XNNPACK", 470, 476, 3), Taken("GPU", 54, 559, 3)


@pytest.mark.parametrize(
    ("delegate", "applied", "ignored", "taken", "expected"),
    [
        ("cpu", {}, [], [XNNPACK], None),
        ("gpu", {"GPU": "completely"}, [], [], None),
        ("gpu", {"GPU": "partially"}, [], [GPU, XNNPACK], None),
        ("gpu", {}, ["--input_layer=a"], [], None),
        ("gpu", {"GPU": "not"}, [], [XNNPACK], "the GPU delegate took nothing"),
        ("nnapi", {"NNAPI": "not"}, [], [], "the NNAPI delegate took nothing"),
        ("cpu", {"EXTERNAL": "not"}, [], [XNNPACK], "the EXTERNAL delegate took nothing"),
        ("npu", {}, ["--use_npu=true"], [], "no delegate for npu"),
        # What LiteRT 2 prints when an NPU was asked for and nobody tells (google-ai-edge/LiteRT issue 7858).
        ("npu", {}, [], [XNNPACK], "nothing but XNNPACK took a part of the model, and npu was asked for"),
        ("npu", {}, [], [Taken("NPU", 1, 1, 1)], None),
    ],
)
def test_a_run_that_is_not_what_was_asked_for(
    delegate: str, applied: dict[str, str], ignored: list[str], taken: list[Taken], expected: str | None
) -> None:
    timing = Timing(1, 1, 1, 1, 1, 0)
    said = Output(1, 1, 0, timing, None, None, None, tuple(taken), applied, (), (), tuple(ignored))
    found = fell_back(delegate, said)
    assert found is None if expected is None else expected in (found or "")
