"""The pretend wallet: a payment provider of its own, for development, tests and demonstrations.

It is a separate program (`python -m payments.sandbox`) with its own process, port, database file and retry loop, and
it is reached over HTTP only. It imports nothing else of this project and nothing of this project imports it: what the
product knows about it, it knows as it would know a real wallet company. No real money moves here.
"""
