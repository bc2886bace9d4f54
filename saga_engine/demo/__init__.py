"""`saga demo`: the project's sagas at work, and a worker that is killed on the way. Below the CLI."""
