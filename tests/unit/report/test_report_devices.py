"""Are results of other devices taken in, told apart, and ranked only where they are times of real machines?"""

import json
from pathlib import Path
from types import ModuleType

import pytest

from edgepack.cli.main import run as edgepack
from edgepack.errors import MissingError, RecipeError
from edgepack.measurement import keep
from edgepack.report import collect, rows, verdicts
from edgepack.report.adding import add
from edgepack.report.distribution import places
from edgepack.report.html import to_html
from edgepack.report.markdown import to_markdown

ARM = "linux-arm64-cpu"


@pytest.fixture
def measured(mixed: Path, runs: ModuleType) -> Path:
    """A run with an emulated target that two other devices measured: a real board and a virtual one."""
    runs.add_devices(mixed)
    return mixed


def test_what_a_device_tells_is_kept(measured: Path) -> None:
    target = next(target for target in collect(measured).targets if target.name == ARM)
    virtual, real = target.devices
    assert (virtual.name, virtual.simulated, virtual.address) == ("board", True, "board")
    assert (real.name, real.simulated, real.address) == ("field-board", False, "ssh://field-board")
    first, second = real.latencies
    assert first.interval_ms is not None
    assert first.interval_ms["p50"][0] < (first.p50_ms or 0) < first.interval_ms["p50"][1]
    assert (first.stable, second.stable) == (True, False)
    assert [flag.kind for flag in second.flags] == ["throttling"]
    assert first.nodes is not None
    assert first.nodes.by == {"XNNPACK": 9, "LiteRT": 1}
    assert first.before is not None
    assert first.after is not None
    assert (first.before.frequency_khz, first.after.temperature_c) == (1_800_000, 71.0)
    assert first.energy_mj == 0.42
    assert [(kind.kind, kind.share) for kind in first.profile] == [("CONV_2D", 0.82), ("SOFTMAX", 0.18)]


def test_a_real_device_stands_for_an_emulated_target(measured: Path) -> None:
    path = measured / ARM / "latency.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"gates": []}))
    report = collect(measured)
    row = next(row for row in rows(report) if row.target == ARM)
    assert (row.where, row.emulated, row.verdict) == ("field-board", False, "ok")
    verdict = next(verdict for verdict in verdicts(report) if verdict.target == ARM)
    assert verdict.why.startswith("The fastest of the 2 that passed: 0.0727 ms median on field-board")


@pytest.mark.parametrize(("limit", "verdict"), [(0.5, "ok"), (0.01, "failed")])
def test_a_real_device_decides_the_latency_that_an_emulator_could_not(
    measured: Path, limit: float, verdict: str
) -> None:
    path = measured / ARM / "latency.json"
    document = json.loads(path.read_text())
    document["gates"][0]["limit"] = limit
    path.write_text(json.dumps(document))
    table = [row for row in rows(collect(measured)) if row.target == ARM]
    assert {row.verdict for row in table} == {verdict}
    (measured / ARM / "devices" / "field-board.json").unlink()
    table = [row for row in rows(collect(measured)) if row.target == ARM]
    assert {row.verdict for row in table} == {"not judged"}, "a virtual board decides nothing"


def test_a_virtual_board_never_stands_for_a_target(measured: Path) -> None:
    (measured / ARM / "devices" / "field-board.json").unlink()
    row = next(row for row in rows(collect(measured)) if row.target == ARM)
    assert (row.where, row.emulated) == ("container", True)


def test_simulated_and_emulated_are_labelled_and_have_scales_of_their_own(measured: Path) -> None:
    report = collect(measured)
    labels = {(place.target.name, place.where): place.labels for place in places(report)}
    assert labels[ARM, "in the container"] == ("emulated",)
    assert labels[ARM, "on board"] == ("simulated",)
    assert labels[ARM, "on field-board"] == ()
    page = to_html(report)
    section = page[page.index('<section id="latency">') :].split("</section>")[0]
    assert f'{ARM}, on board <span class="pill unknown">simulated</span>' in section
    assert "the frequency fell from 1800 to 1200 MHz while it ran" in section
    text = to_markdown(report)
    assert f"| {ARM} | board, simulated |" in text


def test_a_measurement_is_added_to_the_targets_whose_files_it_has(
    mixed: Path, runs: ModuleType, tmp_path: Path
) -> None:
    left = tmp_path / "left behind.json"
    document = runs.device_document("Shed; 2", "ssh://shed")
    document["results"][0]["sha256"] = "ab" * 32
    left.write_text(json.dumps(document))
    path = mixed / ARM / "manifest.json"
    manifest = json.loads(path.read_text())
    manifest["artifacts"][0]["sha256"] = "ab" * 32
    path.write_text(json.dumps(manifest))
    document["results"][1:] = []
    left.write_text(json.dumps(document))
    (written,) = add(left, mixed, keep)
    assert written == mixed / ARM / "devices" / "Shed-2.json"
    assert json.loads(written.read_text()) == document
    del document["device"]
    left.write_text(json.dumps(document))
    (written,) = add(left, mixed, keep)
    assert written == mixed / ARM / "devices" / "left-behind.json", "the file's name stands for a device without one"


def test_the_command_line_adds_and_writes(
    mixed: Path, runs: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left = tmp_path / "left.json"
    left.write_text(json.dumps(runs.device_document("shed", "ssh://shed")))
    assert edgepack(["report", str(mixed), "--add", str(left)]) == 0
    assert str(mixed / ARM / "devices" / "shed.json") in capsys.readouterr().out
    assert "on shed" in (mixed / "report.html").read_text()


def test_what_is_no_measurement_of_this_run_is_refused(mixed: Path, runs: ModuleType, tmp_path: Path) -> None:
    left = tmp_path / "left.json"
    with pytest.raises(MissingError, match="cannot be read"):
        add(left, mixed, keep)
    left.write_text("{")
    with pytest.raises(RecipeError, match="not valid JSON"):
        add(left, mixed, keep)
    left.write_text('{"schema": "edgepack.latency/9"}')
    with pytest.raises(RecipeError, match=r"expected 'edgepack\.latency/1'"):
        add(left, mixed, keep)
    document = runs.device_document("shed", "ssh://shed")
    for result in document["results"]:
        result["sha256"] = "00" * 32
    left.write_text(json.dumps(document))
    with pytest.raises(RecipeError, match="measured other files"):
        add(left, mixed, keep)
    with pytest.raises(MissingError, match="holds no bundle"):
        add(left, tmp_path, keep)
    assert not list(mixed.glob("*/devices"))
