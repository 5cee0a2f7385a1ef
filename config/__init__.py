"""The project: settings, addresses and processes."""
