"""Settings and connections from strings: all faults at once."""
