"""A step, already parsed, becomes a task: aliases, defaults, every fault at once."""
