"""Real processes, real producers, whole paths."""
