"""Rows as the JSON documents that Marquez's clients read: many at a time, in a fixed number of statements."""
