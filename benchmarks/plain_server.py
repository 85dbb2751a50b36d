"""What does a model behind FastAPI look like to somebody who has ten minutes? The other side of `serving.py`.

    python benchmarks/plain_server.py MODEL PORT

A body of a list of floats, a handler that is a plain function, uvicorn as ``pip install fastapi 'uvicorn[standard]'``
brings it, that is with uvloop and httptools. LiteRT's interpreter must not be used by two threads at once, so its
handler takes a lock; ONNX Runtime's session needs none.
"""

import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np


def onnx(path: Path) -> tuple[tuple[int, ...], Callable[[Any], Any]]:
    """The shape of the input, and what runs the model, for one thread of ONNX Runtime."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    (source,) = session.get_inputs()
    shape = tuple(size if isinstance(size, int) else 1 for size in source.shape)
    return shape, lambda x: session.run(None, {source.name: x})[0]


def tflite(path: Path) -> tuple[tuple[int, ...], Callable[[Any], Any]]:
    """The same for one thread of LiteRT and a float file."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(str(path), num_threads=1)
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    lock = threading.Lock()

    def run(x: Any) -> Any:
        with lock:
            interpreter.set_tensor(source["index"], x)
            interpreter.invoke()
            return interpreter.get_tensor(target["index"])

    return tuple(source["shape"].tolist()), run


def main() -> None:
    """Serve until the process is ended."""
    import uvicorn
    from fastapi import FastAPI
    from pydantic import BaseModel

    path, port = Path(sys.argv[1]), int(sys.argv[2])
    shape, run = {".onnx": onnx, ".tflite": tflite}[path.suffix](path)
    app = FastAPI()

    class Body(BaseModel):
        data: list[float]

    @app.post("/predict")
    def predict(body: Body) -> dict[str, Any]:
        y = run(np.array(body.data, dtype=np.float32).reshape(shape))
        return {"output": y[0].tolist()}

    uvicorn.run(app, port=port)


if __name__ == "__main__":
    main()
