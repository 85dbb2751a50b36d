"""What did a run leave for one target?"""

from pathlib import Path

from edgepack.report import reading
from edgepack.report.collect_container import container_pairs
from edgepack.report.collect_devices import collect_devices, decided
from edgepack.report.collect_firmware import collect_firmware
from edgepack.report.collect_history import collect_history
from edgepack.report.collect_latency import collect_latency, without_verdict
from edgepack.report.collect_layers import collect_layers
from edgepack.report.reading import Doc
from edgepack.report.schema import (
    Artifact,
    Check,
    Gap,
    Gate,
    Image,
    ImageLayer,
    Layers,
    Package,
    Pair,
    Side,
    Target,
    Tensor,
)


def collect_target(folder: Path, recipe_sha256: str | None, history: Path) -> Target:
    """Read one target's folder.

    Args:
        folder: Such as out/digits/linux-amd64-cpu; it may be missing altogether.
        recipe_sha256: The recipe of the run, to tell what an earlier recipe left; None when unknown.
        history: The folder with what `edgepack bench --history` kept; it may be missing.

    Returns:
        The target, with a gap for each document that is not there.
    """
    manifest, manifest_reason = reading.read_document(folder / "manifest.json", "edgepack.manifest/1")
    verify, verify_reason = reading.read_document(folder / "verify.json", "edgepack.verify/1")
    latency, latency_reason = reading.read_document(folder / "latency.json", "edgepack.latencies/1")
    image_doc, image_reason = reading.read_document(folder / "image" / "image.json", "edgepack.image/1")
    firmware, firmware_reason = reading.read_document(folder / "firmware" / "firmware.json", "edgepack.firmware/1")
    wanted = reading.mapping(manifest, "target_spec")
    no_image = None
    if reading.mapping(wanted, "firmware"):
        no_image = None if reading.mapping(wanted, "image") else "the target has firmware in place of an image"
    else:
        firmware_reason = None
    platform = reading.text(manifest, "platform")
    benches, latencies = collect_latency(latency, latency_reason, platform)
    reasons = {
        "manifest": manifest_reason,
        "verify": verify_reason,
        "latency": latency_reason,
        "image": None if no_image else image_reason,
        "firmware": firmware_reason,
    }
    metric = reading.text(verify, "metric") or "accuracy"
    devices = collect_devices(folder, platform)
    labels = manifest.get("labels")
    artifacts = tuple(_artifact(doc) for doc in reading.objects(manifest, "artifacts"))
    return Target(
        name=folder.name,
        platform=platform,
        threads=reading.integer(manifest, "threads"),
        task=reading.text(manifest, "task"),
        classes=len(labels) if isinstance(labels, list) and labels else None,
        data_fingerprint=reading.text(manifest, "data_fingerprint"),
        stale=_stale(reading.text(manifest, "recipe_sha256"), recipe_sha256),
        samples=reading.integer(verify, "samples"),
        metric=metric,
        baseline=reading.number(reading.mapping(verify, "baseline"), metric),
        no_baseline=reading.text(reading.mapping(verify, "baseline"), "reason"),
        artifacts=artifacts,
        checks=tuple(_check(doc) for doc in reading.objects(verify, "artifacts")),
        pairs=(*(_pair(doc) for doc in reading.objects(verify, "pairs")), *container_pairs(manifest, latency)),
        gates=tuple(
            decided(without_verdict(_gate(doc), latencies), devices)
            for part in (verify, latency, image_doc, firmware)
            for doc in reading.objects(part, "gates")
        ),
        latencies=latencies,
        benches=benches,
        identical={k: v for k, v in reading.mapping(latency, "identical").items() if isinstance(v, bool)},
        image=_image(image_doc, no_image or (f"no image ({image_reason})" if image_reason else None)),
        firmware=collect_firmware(firmware),
        tools=reading.scalars(reading.mapping(manifest, "tools")),
        gaps=tuple(Gap(where, reason) for where, reason in reasons.items() if reason),
        devices=devices,
        layers=collect_layers(folder, artifacts),
        history=collect_history(history, reading.text(manifest, "name") or "", folder.name),
    )


def _stale(own: str | None, run: str | None) -> str | None:
    if own and run and own != run:
        return f"made by another recipe ({own[:12]}, this run's is {run[:12]})"
    return None


def _tensors(doc: Doc, key: str) -> tuple[Tensor, ...]:
    return tuple(
        Tensor(
            name=reading.text(tensor, "name") or "unnamed",
            shape=tuple(int(n) for n in reading.numbers(tensor, "shape")),
            dtype=reading.text(tensor, "dtype") or "unknown",
            scale=reading.number(tensor, "scale"),
            zero_point=reading.integer(tensor, "zero_point"),
        )
        for tensor in reading.objects(doc, key)
    )


def _artifact(doc: Doc) -> Artifact:
    return Artifact(
        file=reading.text(doc, "file") or "unnamed",
        format=reading.text(doc, "format") or "unknown",
        precision=reading.text(doc, "precision") or "unknown",
        sha256=reading.text(doc, "sha256"),
        size_bytes=reading.integer(doc, "size_bytes"),
        runtimes=reading.texts(doc, "runtimes"),
        inputs=_tensors(doc, "inputs"),
        outputs=_tensors(doc, "outputs"),
        lineage=tuple(reading.text(x, "stage") or "unnamed" for x in reading.objects(doc, "lineage")),
    )


def _check(doc: Doc) -> Check:
    return Check(
        file=reading.text(doc, "file") or "unnamed",
        runtime=reading.text(doc, "runtime") or "unknown",
        source=reading.text(doc, "source"),
        accuracy=reading.number(doc, "accuracy"),
        source_accuracy=reading.number(doc, "source_accuracy"),
        drop=reading.number(doc, "drop"),
        top1_agreement=reading.number(doc, "top1_agreement"),
        max_abs_error=reading.number(doc, "max_abs_error"),
        sqnr_db=reading.number(doc, "sqnr_db"),
        status=reading.text(doc, "status"),
        reasons=reading.texts(doc, "reasons"),
        placement=_placement(reading.mapping(doc, "details")),
    )


def _placement(details: Doc) -> str:
    """What the runtime says of where operations run, and how: ``9 integer, 1 float; XNNPACK takes 9 of 10``."""
    integers, floats = reading.integer(details, "integer_nodes"), reading.integer(details, "float_nodes")
    nodes, taken = reading.integer(details, "nodes"), reading.integer(details, "nodes_delegated")
    parts = [] if integers is None or floats is None else [f"{integers} integer, {floats} float"]
    if nodes is not None and taken is not None:
        delegate = reading.text(details, "delegate")
        parts.append(f"{delegate} takes {taken} of {nodes}" if delegate else "no delegate")
    return "; ".join(parts)


def _side(doc: Doc) -> Side:
    return Side(
        file=reading.text(doc, "file") or "unnamed",
        runtime=reading.text(doc, "runtime") or "unknown",
        kernels=reading.text(doc, "kernels"),
        accuracy=reading.number(doc, "accuracy"),
    )


def _layers(doc: Doc) -> Layers:
    return Layers(
        compared=reading.integer(doc, "compared"),
        largest=reading.integer(doc, "largest"),
        beyond=reading.text(reading.mapping(doc, "first_beyond"), "tensor"),
    )


def _pair(doc: Doc) -> Pair:
    return Pair(
        a=_side(reading.mapping(doc, "a")),
        b=_side(reading.mapping(doc, "b")),
        samples=reading.integer(doc, "samples"),
        top1_agreement=reading.number(doc, "top1_agreement"),
        max_abs_difference=reading.number(doc, "max_abs_difference"),
        max_lsb_difference=reading.number(doc, "max_lsb_difference"),
        sqnr_db=reading.number(doc, "sqnr_db"),
        yardstick=reading.flag(doc, "yardstick"),
        status=reading.text(doc, "status"),
        layers=_layers(reading.mapping(doc, "layers")) if "layers" in doc else None,
    )


def _gate(doc: Doc) -> Gate:
    # What was judged is written as a file, as file@runtime, or as "image", which all artifacts share.
    file, _, runtime = (reading.text(doc, "artifact") or "").partition("@")
    return Gate(
        gate=reading.text(doc, "gate") or "unnamed",
        artifact=file if file not in ("", "image") else None,
        runtime=runtime or reading.text(doc, "runtime"),
        limit=reading.number(doc, "limit"),
        value=reading.number(doc, "value"),
        status=reading.text(doc, "status") or "not judged",
        reason=reading.text(doc, "reason"),
    )


def _image(doc: Doc, reason: str | None) -> Image:
    return Image(
        status=reading.text(doc, "status") or "missing",
        reason=reading.text(doc, "reason") or reason,
        tag=reading.text(doc, "tag"),
        id=reading.text(doc, "id"),
        platform=reading.text(doc, "platform"),
        base_image=reading.text(doc, "base_image"),
        base_digest=reading.text(doc, "base_digest"),
        size_mib=reading.number(doc, "size_mib"),
        layers=tuple(
            ImageLayer(reading.text(layer, "name") or "unnamed", reading.number(layer, "size_mib"))
            for layer in reading.objects(doc, "layers")
        ),
        packages=tuple(
            Package(
                reading.text(package, "name") or "unnamed",
                reading.text(package, "version"),
                reading.integer(package, "size_bytes"),
            )
            for package in reading.objects(doc, "packages")
        ),
        command=reading.text(doc, "command"),
    )
