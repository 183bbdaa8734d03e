"""Macros and the masking of secrets."""
