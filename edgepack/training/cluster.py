"""Which machines train together, and which of them is this one?

The variable ``TF_CONFIG`` says it, in the form of
https://www.tensorflow.org/guide/distributed_training#setting_up_the_tf_config_environment_variable.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from edgepack.errors import RecipeError
from edgepack.training.config import Training

EXAMPLE = '{"cluster": {"worker": ["10.0.0.1:12345", "10.0.0.2:12345"]}, "task": {"type": "worker", "index": 0}}'


@dataclass(frozen=True)
class Cluster:
    """The machines of one training.

    Attributes:
        workers: ``host:port`` of each, in the order of their indices.
        index: That of this one.
    """

    workers: tuple[str, ...]
    index: int

    @property
    def is_chief(self) -> bool:
        """True on the one machine that goes on with the results."""
        return self.index == 0


def read(environment: Mapping[str, str]) -> Cluster:
    """Read ``TF_CONFIG``.

    Raises:
        RecipeError: It is not there, or does not say which workers there are and which of them this is.
    """
    text = environment.get("TF_CONFIG", "")
    fix = f"set it on every machine, with an index of its own, e.g. TF_CONFIG='{EXAMPLE}'"
    if not text:
        raise RecipeError("training.distribution: multi_worker needs the variable TF_CONFIG, which is not set", fix=fix)
    try:
        document = json.loads(text)
        workers = document["cluster"]["worker"]
        kind, index = document["task"]["type"], document["task"]["index"]
    except (ValueError, KeyError, TypeError) as error:
        raise RecipeError(
            "TF_CONFIG does not say cluster.worker, task.type and task.index "
            f"({type(error).__name__}: {error}); received {text}",
            fix=fix,
        ) from error
    if set(document["cluster"]) != {"worker"} or kind != "worker":
        raise RecipeError(
            f"TF_CONFIG: expected a cluster of workers only, received {sorted(document['cluster'])} "
            f"and the task {kind!r}",
            fix="list every machine under cluster.worker; the first one is the chief",
        )
    if not isinstance(workers, list) or not isinstance(index, int) or not 0 <= index < len(workers):
        raise RecipeError(
            f"TF_CONFIG: task.index is {index!r}, but cluster.worker lists {len(workers)} machines", fix=fix
        )
    return Cluster(tuple(str(worker) for worker in workers), index)


def of(training: Training, environment: Mapping[str, str]) -> Cluster | None:
    """The machines that a recipe's training is spread over; None for one machine.

    Raises:
        RecipeError: See `read`.
    """
    several = training.distribution is not None and training.distribution.strategy == "multi_worker"
    return read(environment) if several else None


def share(batch_size: int, replicas: int) -> int:
    """How many samples of each batch one replica gets: 8,192 over 256 are 32 (1706.02677, section 2.3).

    Raises:
        RecipeError: They cannot be divided evenly.
    """
    if batch_size % replicas:
        below, above = batch_size // replicas * replicas, -(-batch_size // replicas) * replicas
        raise RecipeError(
            f"training.batch_size {batch_size} cannot be split evenly over {replicas} replicas",
            fix=f"set it to {f'{below} or ' if below else ''}{above}",
        )
    return batch_size // replicas
