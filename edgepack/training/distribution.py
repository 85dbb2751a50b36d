"""How do several devices, or several machines, train one model?

Through `tf.distribute`: each replica has a copy of the weights and a share of each batch, and gradients are averaged
before every update.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from edgepack.errors import DeviceError, RecipeError
from edgepack.training import cluster
from edgepack.training.config import Distribution, Training

GONE = ("UnavailableError", "AbortedError", "CancelledError", "DeadlineExceededError", "InternalError")
"""What TensorFlow raises when a machine that it waits for is gone."""


@cache
def strategy(config: Distribution | None) -> Any:
    """The `tf.distribute.Strategy` that a recipe asks for, or None for one device.

    It must be asked for before TensorFlow is used for anything else: devices are divided, and machines meet, then.

    Raises:
        RecipeError: There are fewer GPUs than ``devices``, or ``TF_CONFIG`` is not right.
        DeviceError: The other machines did not come within ``timeout_s``.
    """
    if config is None:
        return None
    import tensorflow as tf

    devices = _devices(config.devices)
    if config.strategy == "mirrored":
        return tf.distribute.MirroredStrategy(
            devices, cross_device_ops=None if "GPU" in devices[0] else tf.distribute.ReductionToOneDevice()
        )
    machines = cluster.read(os.environ)
    if config.devices not in (None, 1):
        raise RecipeError(
            f"training.distribution: devices is {config.devices}, but multi_worker takes every GPU of a machine",
            fix="remove devices, or choose GPUs with CUDA_VISIBLE_DEVICES",
        )
    # A limit on the time that machines wait has no public name.
    from tensorflow.compiler.xla.tsl.protobuf.coordination_config_pb2 import CoordinatedJob
    from tensorflow.python.eager import context

    context.context().configure_coordination_service(
        service_type="standalone",
        service_leader="/job:worker/replica:0/task:0",
        cluster_register_timeout_in_ms=config.timeout_s * 1000,
        heartbeat_timeout_in_ms=min(config.timeout_s, 30) * 1000,
        shutdown_barrier_timeout_in_ms=5000,
        coordinated_jobs=[CoordinatedJob(name="worker", num_tasks=len(machines.workers))],
    )
    with explained(config, machines):
        return tf.distribute.MultiWorkerMirroredStrategy()


def _devices(wanted: int | None) -> list[str]:
    """Names of this machine's devices that train; the CPU is divided where there are no GPUs."""
    import tensorflow as tf

    gpus = tf.config.list_physical_devices("GPU")
    count = wanted or len(gpus) or 1
    if not gpus:
        if count > 1:
            (cpu, *_) = tf.config.list_physical_devices("CPU")
            tf.config.set_logical_device_configuration(cpu, [tf.config.LogicalDeviceConfiguration()] * count)
        return [f"CPU:{number}" for number in range(count)]
    if count > len(gpus):
        raise RecipeError(
            f"training.distribution: devices is {count}, but this machine has {len(gpus)} GPUs",
            fix=f"set devices to {len(gpus)} or less, or remove it to take all of them",
        )
    return [f"GPU:{number}" for number in range(count)]


def accelerators() -> int:
    """Number of GPUs of this machine."""
    import tensorflow as tf

    return len(tf.config.list_physical_devices("GPU"))


def replicas(strategy: Any, training: Training) -> int:
    """How many replicas share each batch; 1 without a strategy.

    Raises:
        RecipeError: The batch cannot be divided evenly.
    """
    count = 1 if strategy is None else int(strategy.num_replicas_in_sync)
    cluster.share(training.batch_size, count)
    return count


def agree(strategy: Any, epochs: Sequence[int]) -> int:
    """The last of the finished epochs that every machine has: one of them may have been stopped before the others.

    Args:
        strategy: From `strategy`.
        epochs: Those that this machine has, 0 among them.
    """
    if strategy is None:
        return max(epochs)
    import tensorflow as tf

    mine = strategy.run(lambda: tf.constant([max(epochs)], tf.int32))
    return min(int(epoch) for epoch in strategy.gather(mine, axis=0).numpy())


def spread(batches: Any) -> Any:
    """Batches that every replica takes its own part of, on however many machines."""
    import tensorflow as tf

    options = tf.data.Options()
    options.experimental_distribute.auto_shard_policy = tf.data.experimental.AutoShardPolicy.DATA
    return batches.with_options(options)


@contextmanager
def explained(config: Distribution | None, machines: cluster.Cluster | None = None) -> Iterator[None]:
    """Turn what TensorFlow says when a machine is gone into one clear error.

    Raises:
        DeviceError: A machine of the cluster did not come, or is gone.
    """
    try:
        yield
    except Exception as error:
        if config is None or config.strategy != "multi_worker" or type(error).__name__ not in GONE:
            raise
        machines = machines or cluster.read(os.environ)
        others = ", ".join(name for index, name in enumerate(machines.workers) if index != machines.index)
        first = (str(error).strip().splitlines() or [""])[0][:200]
        raise DeviceError(
            f"training.distribution: worker {machines.index} of {len(machines.workers)} lost the others ({others}): "
            f"{type(error).__name__}: {first}",
            fix="look at the worker that ended first, then start the same command on every machine again: training "
            "goes on from the last epoch that all of them finished; with --from train if one had finished it",
        ) from error
