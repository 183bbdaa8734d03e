"""What stands in ``examples/pipelines``, run as each product would run it."""
