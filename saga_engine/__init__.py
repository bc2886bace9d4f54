"""saga-engine: declarative sagas over NATS JetStream, kept as event streams in CockroachDB, PostgreSQL or SQLite."""
