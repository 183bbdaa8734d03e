"""The composition root, built on first use."""
