"""The criteria language, by behaviour."""
