"""The transport, against real servers on this machine."""
