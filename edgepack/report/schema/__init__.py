"""What does a finished run hold, as frozen data that report.json keeps and gives back?"""

from edgepack.report.schema.latency import Bench, Device, Flag, Latency, Machine, Nodes, Profiled, Scalar, Window
from edgepack.report.schema.layers import FileLayers, ModelLayer
from edgepack.report.schema.past import Past, Trend
from edgepack.report.schema.run import Epoch, Feature, Footprint, Gap, Layer, Selection, Stage, Step, Training
from edgepack.report.schema.target import (
    Artifact,
    Check,
    Firmware,
    Gate,
    Image,
    ImageLayer,
    Layers,
    Package,
    Pair,
    Side,
    Target,
    Tensor,
)
from edgepack.report.schema.whole import SCHEMA, Document, Report, Row, Verdict

__all__ = [
    "SCHEMA",
    "Artifact",
    "Bench",
    "Check",
    "Device",
    "Document",
    "Epoch",
    "Feature",
    "FileLayers",
    "Firmware",
    "Flag",
    "Footprint",
    "Gap",
    "Gate",
    "Image",
    "ImageLayer",
    "Latency",
    "Layer",
    "Layers",
    "Machine",
    "ModelLayer",
    "Nodes",
    "Package",
    "Pair",
    "Past",
    "Profiled",
    "Report",
    "Row",
    "Scalar",
    "Selection",
    "Side",
    "Stage",
    "Step",
    "Target",
    "Tensor",
    "Training",
    "Trend",
    "Verdict",
    "Window",
]
