"""Seeded bugs: plausible mistakes planted into the real engine, each of which the simulation must find."""
