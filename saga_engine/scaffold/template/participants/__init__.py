"""Forward handlers: what this project's services do, a file per participant."""
