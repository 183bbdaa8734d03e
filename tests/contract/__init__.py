"""The service held against its own description, by schemathesis: ``make contract``."""
