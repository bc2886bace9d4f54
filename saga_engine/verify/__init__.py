"""The model checker: every outcome of a saga, explored with the real decider. Above core, knows no I/O."""
