"""Does each layer's note say what happened to it?"""

import numpy as np
from channel_networks import Builder

from edgepack.channels.groups import removable
from edgepack.channels.notes import notes
from edgepack.channels.remove import remove


def test_each_layer_has_one_note_with_its_widths_or_its_reason() -> None:
    net = Builder()
    net.bn("bn", net.conv("a", "in", 8))
    net.separable("sep", net.relu("relu", "bn"), 6)
    net.conv("fixed", "sep", 4)
    net.conv("again", "fixed", 4)
    net.done(net.dense("head", net.pool("pool", "again"), 10))
    channels = net.trace(exclude=("fixed",))
    keep = np.ones(channels.count, dtype=bool)
    first, second, third = removable(channels)
    assert third.producers == ("again",)
    keep[first.units[:3]] = False
    keep[second.units[:2]] = False
    found = {
        note.layer: (note.status, note.reason) for note in notes(net.graph, channels, remove(net.graph, channels, keep))
    }
    assert found == {
        "in": ("passed through", "no weights"),
        "a": ("narrowed", "8 -> 5 channels"),
        "bn": ("narrowed", "8 -> 5 channels"),
        "relu": ("passed through", "no weights"),
        "sep": ("narrowed", "8 -> 5 inputs; 6 -> 4 channels"),
        "fixed": ("narrowed", "6 -> 4 inputs; its channels stay: excluded by the recipe"),
        "again": ("skipped", "as narrow as the steps allow"),
        "pool": ("passed through", "no weights"),
        "head": ("skipped", "its channels stay: the model's output"),
    }
