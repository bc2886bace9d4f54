"""The embedded nats-server: a real one, started and kept running as a child for projects that bring none."""
