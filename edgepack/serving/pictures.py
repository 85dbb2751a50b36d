"""How does the file of a picture become pixels as the model was trained on?

Pillow decodes; an image has it where its target asks for it (``image.pictures``). The steps are those of the data
source ``image_folder``, which uses `fitted` as well: nothing is turned, cropped or padded.
"""

import importlib.util
import io
import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import RequestError

if TYPE_CHECKING:
    from PIL.Image import Image

REQUIREMENTS = ("pillow",)
# Decoders and drawing that nobody asks for here; those of PNG, JPEG and what Pillow's core links to stay.
EXCLUDE = (
    "PIL/_avif.*",
    "PIL/_imagingcms.*",
    "PIL/_imagingft.*",
    "PIL/_imagingmath.*",
    "PIL/_imagingmorph.*",
    "PIL/_imagingtk.*",
    "PIL/_webp.*",
    "PIL/ImageShow.py",
    "PIL/ImageTk.py",
    "pillow.libs/libavif-*",
    "pillow.libs/libbrotli*",
    "pillow.libs/libfreetype-*",
    "pillow.libs/libharfbuzz-*",
    "pillow.libs/liblcms2-*",
    "pillow.libs/libpng16-*",
    "pillow.libs/libsharpyuv-*",
    "pillow.libs/libwebp*",
)
FORMATS = ("PNG", "JPEG")
MODES = {1: "L", 3: "RGB"}
MOST_PIXELS = 50_000_000
"""Of a picture before it is resized: a small file may say that it is as large as memory."""


def available() -> bool:
    """Whether pictures can be decoded here."""
    return importlib.util.find_spec("PIL") is not None


def fit(sample_shape: Sequence[int]) -> bool:
    """Whether samples of a shape, (batch, height, width, channels), may be pictures."""
    return len(sample_shape) == 4 and sample_shape[3] in MODES and min(sample_shape[1:3]) >= 1


def fitted(image: "Image", height: int, width: int, channels: int) -> NDArray[np.uint8]:
    """The pixels of an opened picture, resized bilinearly.

    Args:
        image: Of any mode.
        height: Rows to resize to.
        width: Columns to resize to.
        channels: 3 for RGB, 1 for grey.

    Returns:
        Shape (height, width, channels), values 0 to 255.
    """
    from PIL.Image import Resampling

    plain = image.convert(MODES[channels]).resize((width, height), Resampling.BILINEAR)
    return np.asarray(plain, dtype=np.uint8).reshape(height, width, channels)


def decode(files: Iterable[bytes], height: int, width: int, channels: int, name: str) -> NDArray[np.uint8]:
    """The samples that some PNG or JPEG files are, shape (len(files), height, width, channels).

    Raises:
        RequestError: One is no such file, or is too large; ``name`` is the input's, for the message.
    """
    sizes = height, width, channels
    return np.stack(
        [_decoded(file, *sizes, f"picture {number} of input {name!r}") for number, file in enumerate(files)]
    )


def _decoded(file: bytes, height: int, width: int, channels: int, what: str) -> NDArray[np.uint8]:
    from PIL import Image

    try:
        with warnings.catch_warnings(), Image.open(io.BytesIO(file), formats=FORMATS) as image:
            warnings.simplefilter("ignore")
            if image.width * image.height > MOST_PIXELS:
                raise RequestError(
                    400, f"{what} has {image.width} x {image.height} pixels; at most {MOST_PIXELS} are decoded"
                )
            return fitted(image, height, width, channels)
    except RequestError:
        raise
    except Exception as error:  # decoders raise what they like for files that are none
        said: Any = str(error).partition("\n")[0][:100]
        raise RequestError(400, f"{what} is no {' or '.join(FORMATS)} file that can be read: {said}") from error
