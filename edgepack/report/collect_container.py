"""How do the outputs of an image's container agree with the host's, as pairs beside all others?"""

from edgepack.report import reading
from edgepack.report.reading import Doc
from edgepack.report.schema import Pair, Side


def container_pairs(manifest: Doc, latency: Doc) -> tuple[Pair, ...]:
    """One pair for each artifact and runtime: the host's golden outputs, and what the container made of the samples.

    Args:
        manifest: The bundle's manifest, for the scales of outputs.
        latency: latency.json, whose ``golden`` is what the runner said in the container.
    """
    golden = reading.mapping(latency, "golden")
    environment = reading.mapping(golden, "environment")
    where = "in the container"
    if reading.flag(environment, "emulated"):
        where += f", emulated {reading.text(environment, 'machine') or ''}".rstrip()
    samples = reading.integer(reading.mapping(manifest, "golden"), "samples")
    scales = {
        reading.text(artifact, "file"): reading.number(reading.objects(artifact, "outputs")[0], "scale")
        for artifact in reading.objects(manifest, "artifacts")
        if reading.objects(artifact, "outputs")
    }
    return tuple(_pair(result, where, samples, scales) for result in reading.objects(golden, "results"))


def _pair(result: Doc, where: str, samples: int | None, scales: dict[str | None, float | None]) -> Pair:
    file = reading.text(result, "artifact") or "unnamed"
    runtime = reading.text(result, "runtime") or "unknown"
    difference, scale = reading.number(result, "max_abs_difference"), scales.get(file)
    status = reading.text(result, "status")
    return Pair(
        a=Side(file, runtime, "on the host", None),
        b=Side(file, runtime, where, None),
        samples=samples,
        top1_agreement=reading.number(result, "top1_agreement"),
        max_abs_difference=difference,
        max_lsb_difference=round(difference / scale, 3) if difference is not None and scale else None,
        sqnr_db=None,
        yardstick=False,
        status=status if status in ("ok", "failed") else None,
        layers=None,
        inside=True,
    )
