"""The HTTP face: the only part that knows azure.functions."""
