"""Which commands come next, ready to copy?"""

import shlex

from edgepack.report.schema import Report, Target
from edgepack.report.table import verdicts


def next_commands(report: Report) -> tuple[str, ...]:
    """What to type next, the most useful first, fit to the state of the run.

    A target that ships: verify it anywhere, then run its image, or build that when it is not there, or
    measure when nothing was. A smoke run: the real one. Only the run itself when no target has left anything.
    """
    commands: list[str] = []
    if report.smoke or not any(target.artifacts for target in report.targets):
        commands.append(run_command(report, smoke=False))
    chosen = {verdict.target: verdict for verdict in verdicts(report)}
    # A target that ships comes first; sorting is stable, so the recipe's order decides among equals.
    for target in sorted(report.targets, key=lambda t: chosen[t.name].status != "ship"):
        if target.artifacts:
            commands += _for_target(report, target)
    return tuple(dict.fromkeys(commands))


def run_command(report: Report, *, smoke: bool) -> str:
    """The command that made this run, or the real one in place of a smoke run."""
    recipe = report.recipe_file or "RECIPE"
    return shlex.join(["edgepack", "run", recipe, *(["--smoke"] if smoke else [])])


def _for_target(report: Report, target: Target) -> list[str]:
    bundle = f"{report.folder}/{target.name}"
    commands = [shlex.join(["edgepack", "verify", bundle])]
    if target.firmware and target.image.status == "missing":
        return commands
    if target.image.status != "built":
        commands.append(target.image.command or shlex.join(["edgepack", "image", bundle]))
        return commands
    if target.image.tag and not any(latency.emulated for latency in target.latencies):
        commands.append(shlex.join(["docker", "run", "--rm", "--network", "none", target.image.tag]))
    if not any(latency.where == "container" and latency.status == "ok" for latency in target.latencies):
        commands.append(shlex.join(["edgepack", "bench", bundle, "--on", "docker"]))
    return commands
