"""The only place where parts are wired: settings in; stores, clients, transports and running services out.

Owns which adapter serves which setting, and what is set up on first use. Decides nothing about sagas.
"""
