"""The local server: routes, conversions and the wire, against a toy app."""
