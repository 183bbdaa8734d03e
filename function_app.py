"""Binds routes to handlers, and does nothing else."""
