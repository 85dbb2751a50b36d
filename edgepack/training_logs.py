"""Does ``tensorboard/`` in a run's folder show the trainings that made its results, and no others?

Each stage that trains has a folder there. Event files carry the time of day, so the cache does not keep them. The file
``entry`` beside them names the entry of the cache that the training has made.
"""

import shutil
from collections.abc import Collection
from pathlib import Path

FOLDER = "tensorboard"
ENTRY = "entry"


def begin(folder: Path) -> None:
    """Take away what an earlier training of a stage has logged: TensorBoard would draw both as one."""
    shutil.rmtree(folder, ignore_errors=True)


def end(folder: Path, entry: str) -> None:
    """Note which entry of the cache a stage is about to make; one that trained nothing has no log."""
    if folder.is_dir():
        (folder / ENTRY).write_text(f"{entry}\n")


def found(folder: Path, entry: str) -> None:
    """Keep the log of a result that was in the cache, and drop one of a later training with other settings."""
    note = folder / ENTRY
    if not note.is_file() or note.read_text().strip() != entry:
        shutil.rmtree(folder, ignore_errors=True)


def drop_others(root: Path, stages: Collection[str]) -> None:
    """Drop the logs of stages that a run's recipe does not have any more.

    Args:
        root: The run's folder.
        stages: Names of the folders that stay.
    """
    for folder in (root / FOLDER).glob("*"):
        if folder.is_dir() and folder.name not in stages:
            shutil.rmtree(folder, ignore_errors=True)
