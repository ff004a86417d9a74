"""Speed and memory, each beside the raw limit or a peer, in one run: `python -m benchmarks`."""
