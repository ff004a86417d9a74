"""The emitter's commands: ``headwater run`` and ``headwater graph``."""
