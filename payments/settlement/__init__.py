"""What the networks and our bank say moved: taken in as files, matched with our book, and repaired where it differs."""
