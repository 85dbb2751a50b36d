"""What became of each layer when channels were taken out, and why do others keep theirs?"""

from edgepack.channels.groups import left_alone
from edgepack.channels.symbols import Channels
from edgepack.contracts import LayerNote
from edgepack.keras_models.graph import Graph


def notes(before: Graph, channels: Channels, after: Graph) -> list[LayerNote]:
    """One note for each layer: its channels before and after, or why they stay.

    Args:
        before: The graph that ``channels`` was traced on.
        channels: Its channels.
        after: The same graph with some of them removed.
    """
    stays = {item.layer: item.reason for item in left_alone(channels)}
    made = []
    for node in before.nodes.values():
        if node.shares is not None:
            continue
        narrow = after.nodes[node.name].weights
        parts = [part for part in channels.slices if part.node == node.name]
        sizes = {part.role: (len(part.units), narrow[part.weight].shape[part.axis]) for part in parts}
        if "makes" in sizes:
            sizes.pop("follows", None)  # a bias, or the depthwise half of a separable convolution
        changed = [
            f"{old} -> {new} {'inputs' if role == 'takes' else 'channels'}"
            for role, (old, new) in sizes.items()
            if old != new
        ]
        reasons = changed + ([f"its channels stay: {stays[node.name]}"] if node.name in stays else [])
        if changed:
            made.append(LayerNote(node.name, node.kind, "narrowed", "; ".join(reasons)))
        elif not node.weights:
            made.append(LayerNote(node.name, node.kind, "passed through", "no weights"))
        else:
            made.append(
                LayerNote(node.name, node.kind, "skipped", "; ".join(reasons) or "as narrow as the steps allow")
            )
    return made
