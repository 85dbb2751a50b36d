"""How does the protocol call an element type, and what is numpy's name for it?

Open Inference Protocol, "Tensor Data Types". BF16 has no place in the files that are served here, and BYTES stands for
the files of pictures.
"""

PICTURES = "BYTES"

NUMPY = {
    "BOOL": "bool",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "FP16": "float16",
    "FP32": "float32",
    "FP64": "float64",
}
PROTOCOL = {name: datatype for datatype, name in NUMPY.items()}
SIZE_BYTES = {
    datatype: 1 if name == "bool" else int("".join(c for c in name if c.isdigit())) // 8
    for datatype, name in NUMPY.items()
}
