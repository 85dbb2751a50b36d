"""How is a finished run logged with one of its recipe's trackers?"""

from typing import Any

from edgepack import extensions
from edgepack.stages.request import Request


def run(request: Request) -> dict[str, Any]:
    """Log the run of the folder ``inputs["run"]`` with the tracker ``options["tracker"]``; says where it is."""
    from edgepack.trackers._finished import finished_run

    config = request.recipe.tracking[request.options["tracker"]]
    tracker = extensions.load("edgepack.trackers", extensions.name_of(config))
    return {"where": tracker.track(config, finished_run(request.inputs["run"]))}
