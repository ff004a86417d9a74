"""The collector's commands: ``headwater serve`` and ``headwater import``."""
