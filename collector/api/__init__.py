"""The HTTP API: one module a subject, each a blueprint."""
