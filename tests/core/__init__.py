"""Tests of the pure core, the settings and the edges that need no server."""
