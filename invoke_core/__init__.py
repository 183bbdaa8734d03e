"""Invoke REST API: run the InvokeRESTAPI@1 pipeline task anywhere, and tell how it ended."""

__version__ = "0.1.0"
