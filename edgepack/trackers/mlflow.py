"""How does a finished run become a run in MLflow?"""

import importlib
import os
import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any, Literal, TypeVar

from pydantic import Field, field_validator

from edgepack import contracts
from edgepack.contracts import FinishedRun
from edgepack.errors import MissingError, RecipeError

SETTINGS = {
    "MLFLOW_DISABLE_TELEMETRY": "true",  # MLflow reports its use to its makers unless it is told not to
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "2",  # the 7 of its own take four minutes where no server listens
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "30",  # seconds
}
"""For the process that logs; whoever has set one of them in the environment keeps it."""

SERVERS = ("http://", "https://", "databricks")
DATABASE = "sqlite:///"
PARAMETERS_AT_ONCE, METRICS_AT_ONCE = 100, 1000  # limits of MLflow's `log_batch`
AGAIN = "then run the same command again: it logs the run and makes nothing anew"

Item = TypeVar("Item")


class Config(contracts.TrackerConfig):
    """One run in MLflow for each result: parameters, figures of each epoch and of each artifact, the report."""

    use: Literal["mlflow"] = "mlflow"
    uri: str | None = Field(
        None,
        description="a tracking server or a database; absent = MLFLOW_TRACKING_URI, else mlflow/mlflow.db in the "
        "run's folder",
    )
    experiment: str | None = Field(None, min_length=1, description="absent = the recipe's name")
    models: bool = Field(False, description="log the model files, too")

    @field_validator("uri")
    @classmethod
    def _holds_no_password(cls, uri: str | None) -> str | None:
        if uri is not None and uri != _shown(uri):
            # No ValueError: what was received would be repeated in the message.
            raise RecipeError(
                f"tracking: the uri of `use: mlflow` holds a user or a password; expected {_shown(uri)}",
                fix="set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or the address as MLFLOW_TRACKING_URI",
            )
        return uri


def track(config: Config, run: FinishedRun) -> str:
    """Log parameters, figures and files; see `edgepack.contracts.Tracker`.

    Raises:
        MissingError: MLflow is not installed, or its server or database does not take the run.
    """
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    try:
        from mlflow import MlflowClient
        from mlflow.tracking import get_tracking_uri, is_tracking_uri_set

        uri = config.uri or (get_tracking_uri() if is_tracking_uri_set() else _own_database(run.folder))
        if not uri.startswith(SERVERS):
            for needed in ("sqlalchemy", "alembic"):  # without them MLflow says only that it does not know the address
                importlib.import_module(needed)
    except ModuleNotFoundError as error:
        raise MissingError(
            f"tracking: `use: mlflow` needs the package {error.name}, which is not installed; all results are there",
            fix=f"pip install 'edgepack[mlflow]', {AGAIN}",
        ) from error
    try:
        return _log(MlflowClient(tracking_uri=uri), config, run, uri)
    except Exception as error:
        first = (str(error).strip().splitlines() or [""])[0][:400]
        raise MissingError(
            f"tracking: MLflow at {_shown(uri)} did not take the run; all results are there "
            f"({type(error).__name__}: {_shown(first)})",
            fix=f"start the server, or correct `tracking` in the recipe, {AGAIN}",
        ) from error


def _log(client: Any, config: Config, run: FinishedRun, uri: str) -> str:
    from mlflow.entities import Metric, Param

    name = config.experiment or run.name
    experiment = client.get_experiment_by_name(name)
    number = experiment.experiment_id if experiment else client.create_experiment(name, _artifacts(uri))
    title = f"{run.name}-{run.recipe_sha256[:8]}"
    logged = client.create_run(number, run_name=title, tags={f"edgepack.{key}": run.tags[key] for key in run.tags})
    identity = logged.info.run_id
    now_ms = time.time_ns() // 10**6
    metrics = [Metric(_key(key), value, now_ms, epoch) for key, curve in run.curves.items() for epoch, value in curve]
    metrics += [Metric(_key(key), value, now_ms, 0) for key, value in run.figures.items()]
    status = "FAILED"
    try:
        for parameters in _parts(list(run.parameters.items()), PARAMETERS_AT_ONCE):
            client.log_batch(identity, params=[Param(_key(key), value) for key, value in parameters])
        for some in _parts(metrics, METRICS_AT_ONCE):
            client.log_batch(identity, metrics=some)
        for path, file in {**run.files, **(run.models if config.models else {})}.items():
            folder = str(PurePosixPath(path).parent)
            client.log_artifact(identity, str(file), None if folder == "." else folder)
        status = "FINISHED"
    finally:
        client.set_terminated(identity, status)
    return f"run {identity} of experiment {name} at {_shown(uri)}"


def _own_database(folder: Path) -> str:
    (folder / "mlflow").mkdir(exist_ok=True)
    return f"{DATABASE}{folder / 'mlflow' / 'mlflow.db'}"


def _artifacts(uri: str) -> str | None:
    """Where files go: beside a database of this machine; servers know a place by themselves."""
    if not uri.startswith(DATABASE):
        return None
    return str(Path(uri.removeprefix(DATABASE)).resolve().parent / "artifacts")


def _key(name: str) -> str:
    """A name that MLflow takes; a Python function's arguments and a technique's figures may have any."""
    return re.sub(r"[^\w.:/ -]", "_", name)


def _parts(items: Sequence[Item], size: int) -> Iterator[Sequence[Item]]:
    return (items[start : start + size] for start in range(0, len(items), size))


def _shown(text: str) -> str:
    """Addresses without user and password."""
    return re.sub(r"//[^/@\s]*@", "//", text)
