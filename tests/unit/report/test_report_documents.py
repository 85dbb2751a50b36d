"""Are report.json, report.md and report.html whole, safe and the same every time?"""

import dataclasses
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from edgepack.errors import MissingError, RecipeError
from edgepack.report import collect, rows, write
from edgepack.report.document import from_json, json_schema, to_json
from edgepack.report.formatting import percent, significant
from edgepack.report.html import comparisons, metric_text, to_html
from edgepack.report.markdown import COLUMNS, escape, to_markdown
from edgepack.report.picture import write_picture
from edgepack.report.schema import FileLayers, ModelLayer, Step
from edgepack.report.write import write_atomically

VOID = {"meta", "link", "br", "img", "use", "path", "hr"}


class Page(HTMLParser):
    """What a test wants to know of a page: its tags balanced, its ids, its loads, its titled points."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str]]] = []
        self.open: list[str] = []
        self.points: list[tuple[str, str]] = []
        self.charts: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        attributes = {name: value or "" for name, value in attrs}
        self.tags.append((tag, attributes))
        if tag not in VOID:
            self.open.append(tag)
        if tag == "svg":
            self.charts.append(attributes["aria-label"])
        if "point" in attributes.get("class", "").split():
            self.points.append((attributes["id"], attributes["aria-label"]))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, {name: value or "" for name, value in attrs}))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self.open.pop() == tag


def test_write_leaves_three_files_and_nothing_else(run: Path) -> None:
    before = {path.name for path in run.iterdir()}
    report = write(run)
    assert {path.name for path in run.iterdir()} - before == {"report.json", "report.md", "report.html"}
    assert report == collect(run)
    assert (run / "report.html").stat().st_size < 1_000_000


def test_a_large_model_after_a_long_training_stays_below_2_mb(run: Path) -> None:
    report = collect(run)
    layers = tuple(
        ModelLayer(f"block_{n}/depthwise/conv2d", "CONV_2D", 4096 * n, "int8", (1, 7, 7, n)) for n in range(300)
    )
    files = tuple(FileLayers(artifact.file, layers, None) for artifact in report.targets[0].artifacts)
    assert report.training is not None
    epochs = tuple(dataclasses.replace(report.training.curve[-1], epoch=n) for n in range(1000))
    large = dataclasses.replace(
        report,
        training=dataclasses.replace(report.training, curve=epochs),
        targets=(dataclasses.replace(report.targets[0], layers=files),),
    )
    assert len(to_html(large).encode()) < 2_000_000


def test_the_same_folder_gives_the_same_bytes(drawn: Path) -> None:
    first = {name: (drawn / name).read_bytes() for name in ("report.json", "report.md", "report.html")}
    write(drawn)
    assert first == {name: (drawn / name).read_bytes() for name in first}


def test_json_round_trip(drawn: Path) -> None:
    assert from_json((drawn / "report.json").read_text()) == collect(drawn)


def test_json_holds_table_and_verdicts(drawn: Path) -> None:
    document = json.loads((drawn / "report.json").read_text())
    assert document["schema"] == "edgepack.report/1"
    assert len(document["rows"]) == 8
    assert [verdict["status"] for verdict in document["verdicts"]] == ["ship", "not judged", "ship"]


def test_json_fits_its_schema(mixed: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="jsonschema is not installed; it checks report.json")
    schema = json_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    document = json.loads(to_json(collect(mixed)))
    validator.validate(document)
    assert schema["required"] == [field for field in schema["properties"] if field in document]
    wrong: tuple[dict[str, Any], ...] = ({"schema": "edgepack.report/2"}, {"rows": [{}]}, {"smoke": "no"})
    for broken in wrong:
        assert not validator.is_valid(document | broken)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not valid JSON"),
        ("[]", "has the schema None"),
        ('{"schema": "edgepack.report/0"}', "expected 'edgepack.report/1'"),
        ('{"schema": "edgepack.report/1"}', "Field required"),
    ],
)
def test_unreadable_report_json(text: str, message: str) -> None:
    with pytest.raises(RecipeError, match=message) as caught:
        from_json(text)
    assert "edgepack report" in caught.value.fix


def test_markdown_has_the_verdict_first_then_results_then_what_each_step_paid(mixed: Path) -> None:
    report = collect(mixed)
    lines = to_markdown(report).splitlines()
    assert lines[2].startswith("- ✓ **linux-amd64-cpu**: **Ship model.float32.tflite in LiteRT.**")
    tables = [line for line in lines if line.startswith("|")]
    table, below = tables[: 2 + len(rows(report))], tables[2 + len(rows(report)) :]
    assert below == [
        "| step | file | sparsity % | raw KiB | compressed KiB | latency ms | validation accuracy % |",
        "| --- | --- | ---: | ---: | ---: | ---: | ---: |",
        "| trained | float32 | 0.00 | 56.6 | 51.9 | 0.0243 | 98.61 |",
        "| 1. prune | float32 | 50.00 | 56.6 | 31.0 | 0.0241 | 98.33 |",
        "| 2. qat | int8 | 51.30 | 20.8 | 12.9 | 0.0121 | 98.06 |",
    ]
    for line in table:
        assert len(re.findall(r"(?<!\\)\|", line)) == len(COLUMNS) + 1
    first = lines.index(table[0])
    assert lines[first : first + len(table)] == table
    assert "missed by 0.15 points" in "\n".join(lines[:first])


def test_a_step_without_a_file_says_why(run: Path) -> None:
    document = json.loads((run / "run.json").read_text())
    missing = dict.fromkeys(("sparsity", "raw_bytes", "compressed_bytes", "latency_ms"))
    document["steps"][1]["footprint"] |= {**missing, "reason": "the operation Digamma is no built-in"}
    (run / "run.json").write_text(json.dumps(document))
    text = to_markdown(collect(run))
    assert "| 2. qat | int8 | – | – | – | – | 98.06 |" in text
    assert "- 2. qat: the operation Digamma is no built-in" in text
    assert "2. qat: the operation Digamma is no built-in" in to_html(collect(run))


@given(st.text(st.characters(codec="utf-8")))
def test_markdown_escape_keeps_one_cell_of_plain_text(text: str) -> None:
    escaped = escape(text)
    assert "\n" not in escaped
    assert not re.search(r"(?<!\\)(\\\\)*[|<`*]", escaped)


def test_html_needs_nothing_but_itself(html: str) -> None:
    page = Page(html)
    assert page.open == []
    assert "script" not in {tag for tag, _ in page.tags}
    for tag, attributes in page.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data", "action", "poster"):
            address = attributes.get(name, "")
            assert not address or address.startswith("#") or address == "data:,", f"<{tag} {name}={address!r}>"
    assert "http" not in html
    assert "@import" not in html
    assert not re.search(r"url\((?!#)", html)
    assert 'name="viewport"' in html
    assert "prefers-color-scheme: dark" in html


def test_html_has_one_titled_point_per_result(drawn: Path, html: str) -> None:
    page = Page(html)
    points = {name: tip for name, tip in page.points if name.startswith("picture-")}
    assert len(points) == len(rows(collect(drawn))) == 8
    first = points["picture-0-linux-amd64-cpu-result-0"]
    assert first.startswith("model.int8.tflite in LiteRT: Accuracy 97.78 %, Drop 0.55 points, Size 20.8 KiB")
    assert first.endswith("failed")


def test_html_ids_are_unique_and_references_hold(html: str) -> None:
    page = Page(html)
    ids = [attributes["id"] for _, attributes in page.tags if "id" in attributes]
    assert len(ids) == len(set(ids))
    references = {a["href"][1:] for _, a in page.tags if a.get("href", "").startswith("#")}
    assert references
    assert references <= set(ids)


def test_html_shows_every_part(html: str) -> None:
    for part in (
        "results",
        "latency",
        "curves",
        "verification",
        "compression",
        "images",
        "reproduce",
    ):
        assert f'<section id="{part}">' in html
    for text in (
        "softmax stays in float while training",
        "onnxruntime 1.0",
        "rescaling: folded into the convolution conv2d",
        "the layer dense is small: pruning it saves 40 bytes",
        "compress 1-prune",
        ">614<",
        "yardstick",
        "AMD EPYC 7B13, 2 cores",
    ):
        assert text in html


def test_learning_curves_end_where_each_phase_ended(html: str, drawn: Path) -> None:
    run = json.loads((drawn / "run.json").read_text())
    tips = {tip for name, tip in Page(html).points if name.startswith("curve-")}
    parts = [("train", run["training"]), *((step["use"], step) for step in run["steps"])]
    assert len(tips) == 3 * sum(len(part["curve"]) for _, part in parts)
    for name, part in parts:
        last, epochs = part["curve"][-1], len(part["curve"])
        title = f"{name}, epoch {epochs} of {epochs}: "
        assert {tip.removeprefix(title) for tip in tips if tip.startswith(title)} == {
            f"Training {percent(last['accuracy'])} %, Validation {percent(last['val_accuracy'])} %",
            f"Training {significant(last['loss'])}, Validation {significant(last['val_loss'])}",
            f"Learning rate {significant(last['learning_rate'])}",
        }
    charts = [label for label in Page(html).charts if " by epoch" in label]
    assert [label.partition(" by")[0] for label in charts] == ["Accuracy", "Loss", "Learning rate"]


def test_html_colours_follow_the_page(html: str) -> None:
    charts = "".join(re.findall(r"<svg.*?</svg>", html, flags=re.DOTALL))
    fixed = set(re.findall(r"#[0-9a-f]{6}", charts)) - {"#000000"}
    assert fixed == set()


def test_texts_from_documents_are_never_markup(run: Path) -> None:
    evil = "<script>alert(1)</script>\" onload='x' $\\frac{ | `"
    document = json.loads((run / "run.json").read_text())
    document["name"] = evil
    document["steps"][0]["use"] = evil
    document["steps"][0]["layers"][0]["reason"] = evil
    (run / "run.json").write_text(json.dumps(document))
    path = run / "linux-amd64-cpu" / "manifest.json"
    path.write_text(path.read_text().replace("model.int8.tflite", "model.<b>$x$ ~.tflite"))
    write(run)
    page = Page((run / "report.html").read_text())
    tags = {tag for tag, _ in page.tags}
    assert not tags & {"script", "img"}
    assert all("onload" not in attributes for _, attributes in page.tags)
    assert page.open == []


def test_chosen_columns_are_shown_best_first_and_none_without_a_selection(run: Path, runs: ModuleType) -> None:
    write(run)
    assert 'id="features"' not in (run / "report.html").read_text()
    assert "Features" not in (run / "report.md").read_text()
    document = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps(document | {"selection": runs.selection_document()}))
    write(run)
    page = (run / "report.html").read_text()
    section = page[page.index('<section id="features">') :].split("</section>")[0]
    assert "2 of 3 columns were chosen by rfe; they cost 5.00 of a budget of 6.00." in section
    assert section.index("pulse &lt;5 min&gt;") < section.index(">age<") < section.index(">scan<")
    assert "above the budget" in section
    assert "2 of 3 columns, chosen by rfe: age, pulse \\<5 min\\>." in (run / "report.md").read_text()
    report = from_json((run / "report.json").read_text())
    assert report.selection is not None
    assert report.selection.chosen == ("age", "pulse <5 min>")


def test_before_and_after_are_paired() -> None:
    metrics: dict[str, Any] = {
        "val_accuracy_before": 0.9,
        "val_accuracy_after": 0.8,
        "sparsity": 0.5,
        "a_after": 1,
    }
    step = Step("prune", None, (), metrics, (), precision=None, rewrites=(), warnings=(), footprint=None)
    assert comparisons(step, "accuracy") == [
        ("validation accuracy", "90.00 %", "80.00 %"),
        ("sparsity", None, "50.00 %"),
        ("a", None, "1"),
    ]
    assert metric_text("raw_bytes", 2048) == "2.00 KiB"
    assert metric_text("latency_ms", 0.25) == "0.25 ms"


@pytest.mark.parametrize("suffix", [".png", ".svg"])
def test_picture_is_written_the_same_every_time(mixed: Path, suffix: str) -> None:
    path = mixed / f"picture{suffix}"
    write_picture(collect(mixed), path)
    first = path.read_bytes()
    assert len(first) > 10_000
    write_picture(collect(mixed), path)
    assert path.read_bytes() == first
    assert [p.name for p in mixed.glob(".picture*")] == []


def test_picture_refuses_other_endings_and_empty_reports(run: Path) -> None:
    with pytest.raises(RecipeError, match=r"expected \.png or \.svg"):
        write_picture(collect(run), run / "picture.jpg")
    (run / "linux-amd64-cpu" / "verify.json").unlink()
    with pytest.raises(MissingError, match="nothing to draw"):
        write_picture(collect(run), run / "picture.png")


def test_report_of_a_run_that_left_nothing(tmp_path: Path, runs: ModuleType) -> None:
    runs.put(tmp_path / "run.json", {"schema": "edgepack.run/1"})
    write(tmp_path)
    assert "no target has left anything yet" in (tmp_path / "report.md").read_text()
    assert "no target has left anything yet" in (tmp_path / "report.html").read_text()


def test_earlier_report_survives_a_failure(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = run / "report.json"
    path.write_text("earlier")

    def full(self: Path, target: Path) -> Path:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "replace", full)
    with pytest.raises(MissingError, match="No space left on device"):
        write_atomically(path, b"new")
    assert path.read_text() == "earlier"
    assert [p.name for p in run.glob(".report*")] == []


def test_nothing_heavy_is_imported() -> None:
    heavy = ("matplotlib", "jinja2", "numpy", "rich", "pydantic")
    code = f"import sys, edgepack.report; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


def spots(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path to every value inside a document; of long lists only the beginning."""
    items = value.items() if isinstance(value, dict) else enumerate(value[:3]) if isinstance(value, list) else ()
    return [path] * bool(path) + [spot for key, item in items for spot in spots(item, (*path, key))]


# No shrinking: a page takes a second to draw, and the planted value is small as it is.
@settings(
    max_examples=25,
    deadline=None,
    phases=[Phase.explicit, Phase.reuse, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(data=st.data())
def test_any_value_anywhere_still_gives_a_report(
    runs: ModuleType, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    run: Path = runs.write_run(tmp_path_factory.mktemp("fuzz"))
    target = "linux-amd64-cpu"
    names = ("manifest.json", "verify.json", "latency.json", "image/image.json")
    name = data.draw(st.sampled_from(["run.json", *(f"{target}/{n}" for n in names)]))
    document = json.loads((run / name).read_text())
    for _ in range(data.draw(st.integers(1, 3))):
        path = data.draw(st.sampled_from(spots(document)))
        parent = document
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = data.draw(json_values)
    (run / name).write_text(json.dumps(document))
    report = collect(run)
    assert from_json(to_json(report)) == report
    to_markdown(report).encode()
    if data.draw(st.integers(0, 19)) == 7:  # drawing takes most of the time
        assert Page(to_html(report)).open == []
