"""Are an architecture's arguments checked before anything is built?"""

from typing import Any

import pytest
from pydantic import ValidationError

from edgepack import extensions
from edgepack.models import zoo


@pytest.mark.parametrize("name", extensions.names("edgepack.zoo"))
def test_every_architecture_has_defaults(name: str) -> None:
    assert zoo.arguments(zoo.Config(zoo=name)) == extensions.load("edgepack.zoo", name).Config()


def test_arguments_reach_the_architecture() -> None:
    found: Any = zoo.arguments(zoo.Config(zoo="mlp", args={"units": [3, 2], "dropout": 0.5}))
    assert (found.units, found.dropout) == ((3, 2), 0.5)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"zoo": "mpl"}, f"expected one of: {', '.join(extensions.names('edgepack.zoo'))} (did you mean 'mlp')"),
        ({"zoo": "mlp", "args": {"unit": [3]}}, "argument 'unit' of 'mlp' is not accepted (did you mean 'units'?)"),
        (
            {"zoo": "mlp", "args": {"units": [0]}},
            "argument 'units.0' of 'mlp' is not accepted (Input should be greater",
        ),
        ({"zoo": "mlp", "args": {"dropout": 1}}, "argument 'dropout' of 'mlp' is not accepted (Input should be less"),
    ],
)
def test_wrong_arguments_are_refused(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        zoo.Config.model_validate(keys)
    assert message in str(caught.value)
