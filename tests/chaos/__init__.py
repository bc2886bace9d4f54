"""Chaos: real processes and servers under a seeded nemesis, judged by the checkers that the simulation uses too."""
