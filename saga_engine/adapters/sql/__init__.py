"""The event store on CockroachDB, PostgreSQL and SQLite: `store.SqlEventStore`."""
