"""The limit of the machine: the least that a saga engine of this design has to do, and nothing that it should.

It commits eight event rows for each saga in groups, publishes a command only after its commit, and acknowledges a
reply only after what follows from it is committed. It reads no definition, recovers nothing, has no timers and keeps
all state in memory: a bound to compare with, not an engine.
"""
