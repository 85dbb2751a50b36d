"""How does a network of `tf_keras.applications` become one of ours: no download unless asked for, one softmax?"""

import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from edgepack.errors import MissingError, RecipeError

SILENCE_S = 60
"""A server that says nothing for so long is not reached."""


def build(function: str, *, input_shape: tuple[int, ...], classes: int, **options: Any) -> Any:
    """Build it with random weights.

    Args:
        function: Name in `tf_keras.applications`.
        input_shape: (height, width, channels).
        classes: Outputs of the softmax.
        options: Further arguments of the function.

    Raises:
        ValueError: The images are too small for it.
    """
    from tf_keras import applications

    return getattr(applications, function)(weights=None, input_shape=input_shape, classes=classes, **options)


@dataclass(frozen=True)
class Published:
    """A network with the weights that Keras publishes for it, without a head.

    Attributes:
        model: tf_keras model; its output has the shape (batch, height, width, features).
        values: Smallest and largest input value that it was trained on.
        warnings: Sentences for the person who runs the recipe.
    """

    model: Any
    values: tuple[float, float]
    warnings: tuple[str, ...]


def imagenet(
    function: str,
    *,
    input_shape: tuple[int, ...],
    values: tuple[float, float],
    width: float = 1.0,
    widths: Sequence[float] = (1.0,),
    sizes: Sequence[int] = (224,),
    **options: Any,
) -> Published:
    """Build it with the weights of ImageNet; Keras keeps them in ``~/.keras/models`` and downloads them once.

    Args:
        function: Name in `tf_keras.applications`.
        input_shape: (height, width, 3).
        values: Smallest and largest input value that it was trained on.
        width: Factor of its filters.
        widths: Those that there are weights for.
        sizes: Heights, equal to widths, that there are weights for.
        options: Further arguments of the function.

    Raises:
        RecipeError: There are no weights for such images or for this width.
        MissingError: The file is not there and cannot be downloaded.
        ValueError: The images are too small for it.
    """
    from tf_keras import applications

    if len(input_shape) != 3 or input_shape[-1] != 3:
        raise RecipeError(
            f"model.weights: imagenet weights take images of 3 channels, but the samples have the shape {input_shape}",
            fix="image_folder: set data.channels to 3; elsewhere repeat the one channel in a `python:` data source",
        )
    if width not in widths:
        raise RecipeError(
            f"model.weights: there are no imagenet weights of {function} for width {width:g}",
            fix=f"set model.args.width to one of: {', '.join(f'{known:g}' for known in widths)}",
        )
    height, across = input_shape[:2]
    warning = ""
    if height != across or height not in sizes:
        warning = (
            f"model.weights: there are no imagenet weights of {function} for {height}x{across} pixels; those for "
            f"224x224 are taken (there are for: {', '.join(map(str, sizes))}), and features of another scale are worse"
        )
    with _downloading(function):
        model = getattr(applications, function)(
            weights="imagenet", include_top=False, input_shape=input_shape, **options
        )
    return Published(model, values, (warning,) if warning else ())


@contextmanager
def _downloading(function: str) -> Iterator[None]:
    """Turn what Keras raises without a network into one sentence, and wait for no server for ever."""
    before = socket.getdefaulttimeout()
    socket.setdefaulttimeout(SILENCE_S)
    try:
        yield
    except (RecipeError, MissingError, ValueError):
        raise
    except Exception as error:
        address = re.search(r"URL fetch failure on (\S+?): (.*)", str(error))
        if address is None:
            raise MissingError(
                f"model.weights: the imagenet weights of {function} could not be read: {error}",
                fix="remove the file of that name from ~/.keras/models and run again where the network is reached",
            ) from error
        file = address[1].rsplit("/", 1)[-1]
        raise MissingError(
            f"model.weights: the imagenet weights of {function} are not in ~/.keras/models/{file} and could not be "
            f"downloaded from {address[1]} ({address[2]})",
            fix=f"download that file elsewhere and put it into ~/.keras/models as {file}",
        ) from error
    finally:
        socket.setdefaulttimeout(before)
