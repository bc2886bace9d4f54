"""The workloads, one a file: each puts its load on a stage and says what it measured."""
