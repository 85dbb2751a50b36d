"""How large are images of one bundle, by layer and by package, beside one with TensorFlow in it?

    python benchmarks/images.py out/digits/linux-amd64-cpu     # half a minute, and a container engine

Builds the bundle's image for LiteRT alone, for ONNX Runtime alone and for both, on the base image that the engine
holds, looks through each, and removes them. What TensorFlow would take is computed: the files of its wheel and of all
wheels that pip installs with it, as they lie in this environment, without bytecode, on the same base. Writes
``benchmarks/results/images.json`` and the table in ``docs/containers.md``.
"""

import argparse
import importlib.metadata
import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from edgepack import bundle, imaging
from edgepack.images import contents, engine
from edgepack.target import runtime_format

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results" / "images.json"
PAGE = ROOT / "docs" / "containers.md"
BEGIN, END = "<!-- sizes: python benchmarks/images.py -->", "<!-- end of sizes -->"
VARIANTS = {"LiteRT": ("litert",), "ONNX Runtime": ("onnxruntime",), "both": ("litert", "onnxruntime")}
MB = 1_000_000
LEAST_MB = 0.5


def main() -> None:
    """Build, look, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--base-image")
    arguments = parser.parse_args()
    found = {name: build(arguments.bundle, runtimes, arguments.base_image) for name, runtimes in VARIANTS.items()}
    tensorflow = {"base_bytes": dict(found["both"].layers)["base"], "packages": installed("tensorflow")}
    result = {"images": {name: made.to_dict() for name, made in found.items()}, "tensorflow": tensorflow}
    RESULTS.write_text(json.dumps(result, indent=1) + "\n")
    text = PAGE.read_text()
    before, rest = text.split(BEGIN)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(found, tensorflow)}\n\n{END}{rest.split(END)[1]}")


def build(folder: Path, runtimes: tuple[str, ...], base_image: str | None) -> contents.Contents:
    """The contents of a bundle's image with some runtimes only."""
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch, "benchmark", folder.resolve().name)
        shutil.copytree(folder, copy, ignore=shutil.ignore_patterns("image"))
        manifest = bundle.read_manifest(copy)
        formats = {runtime_format(runtime) for runtime in runtimes}
        kept = [artifact for artifact in manifest["artifacts"] if artifact["format"] in formats]
        bundle.record(copy, "artifacts", kept)
        target = bundle.target_of(copy, manifest).model_copy(update={"runtimes": runtimes})
        image = imaging.of_target(target)
        base = base_image or imaging.choose_base(image.base, image.platform)
        tag = f"edgepack/benchmark:{'-'.join(runtimes)}"
        imaging.make(copy, target, imaging.Options(tag, base, image.platform, build=True), progress=quiet)
        with closing(engine.connect()) as client:
            try:
                return contents.of_image(client, tag)
            finally:
                client.api.remove_image(tag, force=True)


def quiet(event: Mapping[str, Any]) -> None:
    """What a build says on the way is not of interest here."""


def installed(name: str) -> dict[str, int]:
    """Bytes of a distribution and of all that it requires, as they are installed here, without bytecode."""
    sizes: dict[str, int] = {}
    waiting = [name]
    while waiting:
        current = waiting.pop().lower().replace("_", "-")
        if current in sizes:
            continue
        found = importlib.metadata.distribution(current)
        paths = [Path(str(path.locate())) for path in found.files or () if path.suffix != ".pyc"]
        sizes[current] = sum(path.stat().st_size for path in paths if path.is_file())
        required = [Requirement(text) for text in found.requires or ()]
        waiting += [item.name for item in required if item.marker is None or item.marker.evaluate({"extra": ""})]
    return dict(sorted(sizes.items(), key=lambda item: -item[1]))


def table(found: dict[str, contents.Contents], tensorflow: dict[str, Any]) -> str:
    """The sizes as Markdown, MB; what is below half a MB everywhere is one row."""
    columns: list[dict[str, float]] = []
    totals: list[float] = []
    layers: list[dict[str, float]] = []
    for made in found.values():
        sizes: dict[str, float] = {}
        for part in made.parts:
            sizes[part.name] = sizes.get(part.name, 0) + part.size_bytes
        columns.append(sizes)
        totals.append(made.size_bytes)
        layers.append(dict(made.layers))
    base = {part.name: part.size_bytes for part in found["both"].parts if part.kind in ("debian", "other")}
    columns.append({**base, **tensorflow["packages"]})
    totals.append(sum(columns[-1].values()))
    layers.append({"base": tensorflow["base_bytes"], "runtime": sum(tensorflow["packages"].values())})

    def row(name: str, values: list[float | None]) -> str:
        cells = ["" if value is None else f"{value / MB:,.1f}" for value in values]
        return f"| {name} | " + " | ".join(cells) + " |"

    names = [*found, "pip install tensorflow"]
    lines = ["| MB | " + " | ".join(names) + " |", "|---" + "|---:" * len(names) + "|"]
    lines += [row(f"**{layer}**", [sizes.get(layer) for sizes in layers]) for layer in ("base", *contents.LAYERS)]
    lines.append(row("**all**", list(totals)))
    largest = {name: max(sizes.get(name, 0) for sizes in columns) for sizes in columns for name in sizes}
    for name in sorted((name for name in largest if largest[name] >= LEAST_MB * MB), key=lambda name: -largest[name]):
        lines.append(row(name, [sizes.get(name) for sizes in columns]))
    small = [sum(size for name, size in sizes.items() if largest[name] < LEAST_MB * MB) for sizes in columns]
    lines.append(row("smaller ones", list(small)))
    return "\n".join(lines)


if __name__ == "__main__":
    main()
