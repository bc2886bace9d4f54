"""The pure functional core: events, inputs, state, plan, decide and evolve. No clock, identifiers or I/O."""
