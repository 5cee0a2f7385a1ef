"""What the product is measured against: each runs from `.venv-bench`, with settings and a database of its own."""
