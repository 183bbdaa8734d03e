"""The criteria language of Azure Pipelines, usable on its own."""
