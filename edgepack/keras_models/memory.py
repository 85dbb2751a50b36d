"""How is the memory of a model that is no longer needed given back?"""

import ctypes
import gc
from contextlib import suppress


def release() -> None:
    """Give back what a conversion held: Keras keeps graphs, and the allocator keeps pages, until they are told."""
    import tf_keras

    tf_keras.backend.clear_session()
    gc.collect()
    with suppress(OSError, AttributeError):  # not glibc
        ctypes.CDLL(None).malloc_trim(0)
