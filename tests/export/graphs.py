"""The content of a TensorFlow graph and of the functions that it calls."""

WIDE = (2, 9)  # DT_DOUBLE and DT_INT64 of TensorFlow's types.proto


def wide_nodes(definition):
    """Names of the nodes of a GraphDef, and of its functions, with a 64-bit type."""
    nodes = [*definition.node, *(n for f in definition.library.function for n in f.node_def)]
    return {
        node.name
        for node in nodes
        for attribute in node.attr.values()
        if attribute.type in WIDE or set(WIDE) & set(attribute.list.type)
    }
