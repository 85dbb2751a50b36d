"""Is what ``benchmark_model`` prints read as it is meant, in its old forms and its new ones, and crashes as crashes?

Each file in `outputs` is an excerpt of a real run; its first line says where it was seen.
"""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgepack.android.delegates import Taken
from edgepack.android.errors import ProgramError
from edgepack.android.output import parse

FOLDER = Path(__file__).parent / "outputs"
NAMES = sorted(path.stem for path in FOLDER.glob("*.txt"))
TEXTS = {name: (FOLDER / f"{name}.txt").read_text() for name in NAMES}
BROKEN = {"crash_2020", "gpu_build_failure_2024", "gpu_partly_2019", "gpu_partly_2022", "profile_2021"}


def body(name: str) -> str:
    return "".join(line for line in TEXTS[name].splitlines(keepends=True) if not line.startswith("# "))


@pytest.mark.parametrize("name", NAMES)
def test_each_excerpt_says_where_it_is_from(name: str) -> None:
    assert TEXTS[name].startswith("# source: ")


@pytest.mark.parametrize(
    ("name", "init_us", "first_us", "warmup_runs", "runs", "mean_us", "limits_us", "stdev_us", "percentiles_us"),
    [
        ("cpu_2019", 9933, 127425, 7, 15, 66767.6, (66699, 66838), 39, (None, None, None)),
        ("cpu_2020", 855, 49060, 15, 50, 33209.4, (32641, 34005), 450, (None, None, None)),
        ("gpu_whole_2020", 870557, 130565, 4, 50, 119375, (113737, 124776), 1948, (None, None, None)),
        ("xnnpack_2021", 18777, 64791, 9, 50, 55043.2, (53077, 60727), 1562, (None, None, None)),
        ("nnapi_partly_2022", 126059, 32942, 40, 75, 12167.6, (11787, 13649), 325, (None, None, None)),
        ("cpu_2023", 530, 124020, 5, 50, 116066, (111222, 121324), 1906, (None, None, None)),
        ("gpu_partly_2026", 2227672, 332961, 0, 25, 306869, (299074, 324703), 6003, (299213, 305582, 313707)),
        ("nnapi_not_2026", 123396, 362227, 0, 25, 281831, (269246, 393529), 27837, (269417, 270283, 340777)),
        ("litert_2026", 23744730, 7441040, 1, 10, 7430200, (7416400, 7448860), 9920, (None, None, None)),
        ("profile_2019", 38467, None, 0, 50, 79732, (77385, 88213), 1929, (None, None, None)),
    ],
)
def test_times(
    name: str, init_us: float, first_us: float | None, warmup_runs: int, runs: int, mean_us: float,
    limits_us: tuple[float, float], stdev_us: float, percentiles_us: tuple[float | None, ...],
) -> None:  # fmt: skip
    found = parse(body(name))
    timing = found.inference
    assert (found.init_us, found.first_us, found.warmup_runs) == pytest.approx((init_us, first_us, warmup_runs))
    assert (timing.runs, timing.mean_us, timing.stdev_us) == pytest.approx((runs, mean_us, stdev_us))
    assert (timing.min_us, timing.max_us) == pytest.approx(limits_us)
    assert (timing.p5_us, timing.median_us, timing.p95_us) == percentiles_us


def test_the_whole_graph_on_the_gpu() -> None:
    found = parse(body("gpu_whole_2020"))
    assert found.applied == {"GPU": "completely"} and found.nodes is None


def test_a_gpu_that_takes_a_part_names_what_it_refused_and_the_processor_gets_the_rest() -> None:
    found = parse(body("gpu_partly_2026"))
    assert found.taken == (Taken("GPU", 54, 559, 3), Taken("XNNPACK", 456, 506, 13))
    assert found.nodes == {"total": 559, "by": {"GPU": 54, "XNNPACK": 456, "LiteRT": 49}}
    assert found.unsupported == (
        "ADD: Max version supported: 2. Requested version 4.",
        "CAST: Not supported Cast case. Input type: INT32 and output type: INT64",
        "GATHER_ND: Operation is not supported.",
        "LESS: Not supported logical op case.",
    )
    assert (found.init_mib, found.overall_mib) == (119.5, 176.777)


def test_a_delegate_that_takes_nothing_is_told_from_one_that_does() -> None:
    assert parse(body("nnapi_not_2026")).applied == {"NNAPI": "not"}
    assert parse(body("nnapi_partly_2022")).applied == {"NNAPI": "partially"}


def test_the_gpus_first_words_for_it() -> None:
    found = parse(body("gpu_partly_2019") + body("cpu_2019"))
    assert found.nodes == {"total": 65, "by": {"GPU": 0, "LiteRT": 65}}
    assert found.unsupported == ("ADD", "AVERAGE_POOL_2D")


def test_the_gpus_words_of_2022_for_it() -> None:
    found = parse(body("gpu_partly_2022") + body("cpu_2023"))
    assert found.nodes == {"total": 297, "by": {"GPU": 97, "LiteRT": 200}}
    assert found.unsupported[:2] == ("ARG_MAX: Operation is not supported.", "CAST: Not supported cast case")
    assert len(found.unsupported) == 6


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # As logs of LiteRT 2 in public repositories have them: the GPU, an NPU, and an NPU that compiled on the phone.
        (
            [
                "VERBOSE: Replacing 48 out of 90 node(s) with delegate (LITERT_CL) node, yielding 2 partitions",
                "VERBOSE: Replacing 32 out of 43 node(s) with delegate (TfLiteXNNPackDelegate) node, yielding 4",
            ],
            {"total": 90, "by": {"GPU": 48, "XNNPACK": 32, "LiteRT": 10}},
        ),
        (
            ["I tflite : Replacing 1 out of 1 node(s) with delegate (DispatchDelegate) for subgraph 0"],
            {"total": 1, "by": {"NPU": 1}},
        ),
        (
            [
                "I litert  : Partitioned subgraph<0>, selected 3911 ops, from a total of 3912 ops. resulted in 2",
                "I tflite  : Replacing 2 out of 3 node(s) with delegate (DispatchDelegate) node, yielding 3 partitions",
            ],
            {"total": 3912, "by": {"NPU": 3911, "LiteRT": 1}},
        ),
    ],
)
def test_delegates_of_litert_2(lines: list[str], expected: dict[str, object]) -> None:
    assert parse("\n".join(lines) + "\n" + body("litert_2026")).nodes == expected


def test_the_profile_of_a_detector() -> None:
    found = parse(body("cpu_2023") + body("profile_2021")).operators
    assert [(item.type, item.count) for item in found] == [
        ("CONV_2D", 34), ("DEPTHWISE_CONV_2D", 13), ("TFLite_Detection_PostProcess", 1), ("CONCATENATION", 2),
        ("LOGISTIC", 1),
    ]  # fmt: skip


def test_the_profile_by_type_of_operator() -> None:
    found = parse(body("profile_2019")).operators
    assert [(item.type, item.count, item.mean_ms, round(item.share, 4)) for item in found] == [
        ("CONV_2D", 15, 1.406, 0.8927),
        ("DEPTHWISE_CONV_2D", 13, 0.169, 0.1073),
        ("SOFTMAX", 1, 0.0, 0.0),
    ]


def test_equal_times_are_printed_shorter() -> None:
    row = "count=3 curr=70(all same)\nInference timings in us: Init: 9, First inference: 70, Inference (avg): 70\n"
    timing = parse(row).inference
    assert (timing.runs, timing.min_us, timing.mean_us, timing.max_us, timing.stdev_us) == (3, 70, 70, 70, 0)


def test_a_crash_gives_its_last_words() -> None:
    with pytest.raises(ProgramError, match=r"crashed \(SIGSEGV\); its last words: .*Segmentation fault") as caught:
        parse(body("crash_2020"), 139)
    assert caught.value.exit_code == 6
    with pytest.raises(ProgramError, match=r"without a result; .*Segmentation fault"):
        parse(body("crash_2020"))


def test_a_refused_program_gives_the_compilers_words() -> None:
    with pytest.raises(ProgramError, match="conversion between different vector types not allowed"):
        parse(body("gpu_build_failure_2024"), 1)


def test_unknown_options_are_known() -> None:
    text = "INFO: Unconsumed cmdline flags: --input_layer=a --input_layer_shape=1,8\n" + body("cpu_2023")
    assert parse(text).ignored == ("--input_layer=a", "--input_layer_shape=1,8")


def test_a_number_that_is_none_is_an_error() -> None:
    with pytest.raises(ProgramError, match=r"printed '1\.2\.3' where a number was expected"):
        parse(body("cpu_2023").replace("avg=116066", "avg=1.2.3"))


lines = st.sampled_from([line for name in NAMES for line in body(name).splitlines()])
noise = st.text(st.characters(codec="utf-8"), max_size=80)
pieces = st.sampled_from(
    ["count=", "first=", "1e9999", "Init: ", "=", ".", " out of ", "9" * 400, "%", "\t1\t", "\r", "\0"]
)


@settings(max_examples=120, deadline=None)
@given(st.lists(st.one_of(lines, noise, st.lists(pieces, max_size=6).map("".join)), max_size=30), st.integers(0, 255))
def test_any_text_gives_an_answer_or_the_one_error(found: list[str], code: int) -> None:
    try:
        output = parse("\n".join(found), code)
    except ProgramError:
        return
    assert code == 0 and output.inference.runs > 0
    assert output.nodes is None or sum(output.nodes["by"].values()) == output.nodes["total"]


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([name for name in NAMES if name not in BROKEN]), st.data())
def test_a_torn_or_spoilt_output_is_never_a_traceback(name: str, data: st.DataObject) -> None:
    text = body(name)
    place = data.draw(st.integers(0, len(text)))
    spoilt = text[:place] + data.draw(st.one_of(noise, pieces)) + text[data.draw(st.integers(place, len(text))) :]
    try:
        parse(spoilt)
    except ProgramError:
        return
