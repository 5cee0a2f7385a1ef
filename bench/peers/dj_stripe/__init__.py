"""A site of dj-stripe alone: https://github.com/dj-stripe/dj-stripe, the usual way to take webhooks in Django."""
