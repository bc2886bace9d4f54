"""What this project serves over HTTP beside the engine's own operations: `saga api` finds it here."""
