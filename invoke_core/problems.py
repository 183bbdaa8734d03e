"""Errors become problem documents here, and nowhere else."""
