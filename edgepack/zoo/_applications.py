"""How does a network of `tf_keras.applications` become one of ours: no download, one softmax, raw or scaled inputs?"""

from typing import Any


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
