"""Coverage-guided fuzzing: ``python -m fuzz [--seconds N] [--seed N] [NAME ...]``."""
