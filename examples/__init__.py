"""Things to try; nothing here is deployed."""
