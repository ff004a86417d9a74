"""Answers by version and by time: what a version was made from, what was made from it, and what was known when."""
