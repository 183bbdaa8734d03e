"""An answer and a criteria become a verdict."""
