"""Tests of the pretend wallet, which is a program of its own: it is started and spoken to over HTTP."""
