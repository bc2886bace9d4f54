"""Tests of how the benchmarks judge and show what they measured."""
