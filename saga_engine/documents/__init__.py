"""Sagas as JSON documents: what the command line and the HTTP API show programs, in one form.

Owns names and shapes of those documents. Knows no terminal and no HTTP.
"""
