"""What the engine needs from the outside, as small Protocols, a file for each. What keeps them is in `adapters`."""
