"""Which logs does a run's folder keep, and which does it drop?"""

from pathlib import Path

from edgepack import training_logs


def log(root: Path, stage: str, entry: str | None = None) -> Path:
    """A stage's log, complete where it names an entry of the cache."""
    folder = root / "tensorboard" / stage
    folder.mkdir(parents=True)
    (folder / "events.out.tfevents.1").write_text("x")
    if entry is not None:
        training_logs.end(folder, entry)
    return folder


def test_the_log_of_a_result_stays_as_long_as_it_is_that_results(tmp_path: Path) -> None:
    folder = log(tmp_path, "train", "train-1234")
    training_logs.found(folder, "train-1234")
    assert sorted(path.name for path in folder.iterdir()) == ["entry", "events.out.tfevents.1"]
    training_logs.found(folder, "train-5678")
    assert not folder.exists()


def test_the_log_of_a_training_that_was_not_finished_is_not_that_of_a_cached_result(tmp_path: Path) -> None:
    folder = log(tmp_path, "train")
    training_logs.found(folder, "train-1234")
    assert not folder.exists()


def test_a_stage_that_begins_has_no_log(tmp_path: Path) -> None:
    folder = log(tmp_path, "1-prune_channels", "compress-1-prune_channels-1234")
    (folder / "2").mkdir()
    (folder / "2" / "events.out.tfevents.2").write_text("x")
    training_logs.begin(folder)
    assert not folder.exists()


def test_a_stage_that_trained_nothing_gets_no_folder(tmp_path: Path) -> None:
    training_logs.end(tmp_path / "tensorboard" / "2-float16", "compress-2-float16-1234")
    assert not (tmp_path / "tensorboard").exists()


def test_logs_of_steps_that_the_recipe_no_longer_has_go(tmp_path: Path) -> None:
    for stage in ("train", "1-prune", "2-qat", "1-qat"):
        log(tmp_path, stage, "x")
    training_logs.drop_others(tmp_path, ("train", "1-qat"))
    assert sorted(path.name for path in (tmp_path / "tensorboard").iterdir()) == ["1-qat", "train"]
    training_logs.drop_others(tmp_path / "nowhere", ())
