"""Commands, replies, events and dead letters as messages: subjects, headers and JSON bodies, a file for each kind.

The only place that knows the wire format; `docs/protocol.md` is its specification. Pure: the same command always gives
the same message.
"""
