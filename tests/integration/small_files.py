"""Of what are the small run and the saved models made, and what of a folder counts as a result?"""

from pathlib import Path

from edgepack.store import file_digest

RECIPE = """\
name: small
data:
  sklearn: digits
  image_shape: [8, 8, 1]
  preprocessing: {scale: 0.0625}
model:
  zoo: small_cnn
  args: {filters: [8]}
training:
  epochs: 1
export:
  - {format: tflite, precision: float32}
  - {format: onnx, precision: float32}
targets: [linux-amd64-cpu]
bench: {warmup_s: 0, min_runs: 5, min_time_s: 0}
"""

MODELS = """
from pathlib import Path
from tf_keras import Sequential, layers

def save(name, shape, classes):
    stack = [
        layers.InputLayer(shape, name="image"),
        layers.Conv2D(4, 3, padding="same", name="conv"),
        layers.ReLU(name="relu"),
        layers.GlobalAveragePooling2D(name="pool"),
        layers.Dense(classes, name="classifier"),
        layers.Softmax(name="softmax"),
    ]
    Sequential(stack, name="probe").save(name)

save("digits.keras", (8, 8, 1), 10)
save("large.keras", (28, 28, 1), 10)
whole = Path("digits.keras").read_bytes()
Path("cut.keras").write_bytes(whole[: len(whole) // 2])
weights = whole.rindex(b"classifier")
Path("altered.keras").write_bytes(whole[:weights] + bytes(byte ^ 255 for byte in whole[weights : weights + 64])
                                  + whole[weights + 64 :])
Path("text.keras").write_text("no model at all")
"""


def results(folder: Path) -> dict[str, str]:
    """Digests of everything that finished runs left; logs, the lock and the notes of the last run are not results."""
    return {
        str(path.relative_to(folder)): file_digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not {"logs", "tensorboard"} & set(path.parts) and path.name not in (".lock", "run.json")
    }
