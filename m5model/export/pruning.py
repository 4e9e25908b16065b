"""Drops what no output of a graph needs."""

import onnx


def drop_unread(graph: onnx.GraphProto) -> None:
    """Drop nodes and weights that nothing reads."""
    outputs = {entry.name for entry in graph.output}
    while True:
        read = {name for node in graph.node for name in node.input} | outputs
        kept = [node for node in graph.node if read.intersection(node.output)]
        if len(kept) == len(graph.node):
            break
        del graph.node[:]
        graph.node.extend(kept)
    weights = [entry for entry in graph.initializer if entry.name in read]
    del graph.initializer[:]
    graph.initializer.extend(weights)
