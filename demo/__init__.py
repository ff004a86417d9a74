"""The demo: a real pipeline over real data, run into a real collector. ``pipeline.py`` is meant to be copied from."""
