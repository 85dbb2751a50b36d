"""How is a stage's result found, or made and kept?"""

import shutil
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgepack import store, tf_environment, training_logs, worker
from edgepack.events import Observer
from edgepack.plan import Plan
from edgepack.stages.request import Request
from edgepack.store import Entry, Store, code_digest, key_of, versions


@dataclass
class Execution:
    """A run under way: its plan, its store, whom it tells, and what was done so far."""

    plan: Plan
    store: Store
    observer: Observer
    stages: list[dict[str, Any]] = field(default_factory=list)
    worked: bool = False

    def stage(
        self,
        name: str,
        module: str,
        *,
        label: str = "",
        family: str = "",
        config: object,
        inputs: Mapping[str, Entry],
        code: Sequence[str],
        packages: Sequence[str],
        options: Mapping[str, Any] | None = None,
        log: str = "",
    ) -> Entry:
        """Find or make one stage's result.

        ``family`` is the stage of the command line that it belongs to, ``log`` the folder of its trainings' logs.
        """
        digests = {key: entry.digest for key, entry in inputs.items()}
        made_by = (code_digest(*code), versions(*packages), tf_environment.onednn())
        key = key_of(module, config, digests, *made_by, self.plan.recipe.seed, self.plan.smoke)
        folder_name = module.rsplit(".", 1)[-1] + (f"-{label}" if label else "")
        if self.plan.forced(family or name):
            self.store.forget(folder_name, key)
        entry = self.store.find(folder_name, key)
        cached = entry is not None
        logs = self.plan.run_folder / training_logs.FOLDER / log if log else None
        if entry is None:
            entry = self._work(name, module, folder_name, key, label, inputs, options or {}, logs)
        elif logs:
            training_logs.found(logs, entry.path.name)
        note = "" if cached else str(entry.figures.get("note", ""))
        self.observer.finished(name, label, seconds=entry.seconds, cached=cached, peak_mib=entry.peak_mib, note=note)
        self.record(name, label=label, seconds=entry.seconds, cached=cached, peak_mib=entry.peak_mib)
        return entry

    def _work(
        self,
        name: str,
        module: str,
        folder_name: str,
        key: str,
        label: str,
        inputs: Mapping[str, Entry],
        options: Mapping[str, Any],
        logs: Path | None,
    ) -> Entry:
        self.worked = True
        self.observer.started(name, label)
        start = time.monotonic()
        with store.explain_os_errors(self.plan.run_folder):
            output = self.plan.run_folder / "logs"
            output.mkdir(exist_ok=True)
            if logs:
                training_logs.begin(logs)
            temporary = self.store.begin(folder_name, key)
            request = Request(
                recipe=self.plan.recipe,
                base=self.plan.base.resolve(),
                out=temporary.resolve(),
                inputs={key: entry.path.resolve() for key, entry in inputs.items()},
                smoke=self.plan.smoke,
                progress=lambda event: self.observer.progress(name, event),
                checkpoints=self.store.checkpoints(folder_name, key).resolve(),
                logs=logs.resolve() if logs else None,
                options=options,
            )
            try:
                done = worker.call(module, request, log_path=output / f"{folder_name}.log")
                seconds = round(time.monotonic() - start, 3)
                if logs:
                    training_logs.end(logs, f"{folder_name}-{key}")
                return self.store.commit(
                    folder_name, key, temporary, seconds=seconds, figures=done.figures, peak_mib=done.peak_mib
                )
            finally:
                shutil.rmtree(temporary, ignore_errors=True)  # after a failure; it may be what filled the disk

    def skip(self, name: str, reason: str) -> None:
        """Note a stage that this run has no need of, and why."""
        self.observer.skipped(name, reason)
        self.record(name, seconds=0.0, cached=False)
        self.stages[-1] |= {"status": "skipped", "reason": reason}

    def record(
        self,
        name: str,
        *,
        label: str = "",
        seconds: float,
        cached: bool,
        reason: str | None = None,
        peak_mib: float | None = None,
    ) -> None:
        """Note a stage for the report."""
        self.stages.append(
            {
                "name": name,
                "label": label,
                "seconds": seconds,
                "cached": cached,
                "status": "failed" if reason else "ok",
                "reason": reason,
                "peak_mib": peak_mib,
            }
        )
