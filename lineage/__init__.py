"""The shared model: node ids, the graph, and its renderings. Pure: no I/O, no Flask, no SQL."""
