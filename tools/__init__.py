"""Programs that build and measure; nothing here is deployed."""
