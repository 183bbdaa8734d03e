"""The tests: by behaviour, against real parts."""
