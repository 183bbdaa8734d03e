"""The deployment package: what is in it, and that it runs with nothing else."""
