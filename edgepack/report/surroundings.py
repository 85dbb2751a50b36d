"""Where was it built, where was it timed, and in what do these places differ?"""

from edgepack.report.schema import Report, Scalar

Surroundings = tuple[str, dict[str, Scalar], dict[str, Scalar]]


def surroundings(report: Report) -> tuple[Surroundings, ...]:
    """Name, facts and protocol of each place: the build first, then every place that measured."""
    found: list[Surroundings] = [("Build", report.environment, {})]
    for target in report.targets:
        for bench in target.benches:
            if bench.environment or bench.protocol:
                where = "in the container" if bench.where == "container" else "on the host"
                found.append((f"{target.name}, {where}", bench.environment, bench.protocol))
        found += [
            (f"{target.name}, on {device.name}", device.environment, device.protocol)
            for device in target.devices
            if device.environment or device.protocol
        ]
    return tuple(found)


def known(report: Report) -> tuple[str, ...]:
    """Names of the facts that at least one place tells, those first that most of them tell."""
    counts: dict[str, int] = {}
    for _, facts, _ in surroundings(report):
        for name, value in facts.items():
            counts[name] = counts.get(name, 0) + (value is not None)
    return tuple(sorted((name for name, count in counts.items() if count), key=lambda name: -counts[name]))
