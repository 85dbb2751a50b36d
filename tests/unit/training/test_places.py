"""Where do the trainings of one stage leave their checkpoints and their logs?"""

from pathlib import Path

from edgepack.training.checkpoints import Place, Places


def test_each_training_has_its_own_places_the_same_ones_each_time() -> None:
    for _ in range(2):
        places = Places(Path("kept"), Path("logs"))
        assert [places.next(name) for name in ("teacher-mlp", "teacher-mlp", "", "", "")] == [
            Place(Path("kept/01"), Path("logs/teacher-mlp")),
            Place(Path("kept/02"), Path("logs/teacher-mlp-2")),
            Place(Path("kept/03"), Path("logs")),
            Place(Path("kept/04"), Path("logs/2")),
            Place(Path("kept/05"), Path("logs/3")),
        ]


def test_nothing_is_left_where_nothing_is_asked_for() -> None:
    assert Places().next("teacher-mlp") == Place(None, None)
