"""The outbox's promises, each as a test: real files, real servers, real processes."""
