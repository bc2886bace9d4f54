CREATE INDEX IF NOT EXISTS saga_streams_due ON saga_streams (partition, next_due) WHERE next_due IS NOT NULL;

CREATE INDEX IF NOT EXISTS saga_streams_saga ON saga_streams (saga, stream_id);

CREATE INDEX IF NOT EXISTS saga_streams_status ON saga_streams (status, stream_id);

CREATE TABLE IF NOT EXISTS saga_definition_versions ( saga TEXT NOT NULL, version INTEGER NOT NULL, hash TEXT NOT NULL, PRIMARY KEY (saga, version) );

CREATE TABLE IF NOT EXISTS saga_definitions ( hash TEXT NOT NULL, saga TEXT NOT NULL, content TEXT NOT NULL, PRIMARY KEY (hash) );

CREATE TABLE IF NOT EXISTS saga_events ( stream_id UUID NOT NULL, version BIGINT NOT NULL, type TEXT NOT NULL, data TEXT NOT NULL, at BIGINT NOT NULL, batch_id UUID NOT NULL, PRIMARY KEY (stream_id, version) );

CREATE TABLE IF NOT EXISTS saga_inbox ( key TEXT NOT NULL, outcome TEXT NOT NULL, effect TEXT NOT NULL, result TEXT, code TEXT NOT NULL, message TEXT NOT NULL, issued_at BIGINT NOT NULL, recorded_at BIGINT NOT NULL, PRIMARY KEY (key) );

CREATE TABLE IF NOT EXISTS saga_inbox_tries ( key TEXT NOT NULL, tries INTEGER NOT NULL, recorded_at BIGINT NOT NULL, PRIMARY KEY (key) );

CREATE TABLE IF NOT EXISTS saga_keys ( key TEXT NOT NULL, saga TEXT NOT NULL, generation INTEGER NOT NULL, stream_id UUID NOT NULL, input_hash TEXT NOT NULL, PRIMARY KEY (key, saga, generation) );

CREATE TABLE IF NOT EXISTS saga_leases ( name TEXT NOT NULL, owner TEXT NOT NULL, expires_at BIGINT NOT NULL, PRIMARY KEY (name) );

CREATE TABLE IF NOT EXISTS saga_migration_lock ( name TEXT NOT NULL, taken_at BIGINT NOT NULL, PRIMARY KEY (name) );

CREATE TABLE IF NOT EXISTS saga_reply_keys ( id TEXT NOT NULL, secret BYTEA NOT NULL, created_at BIGINT NOT NULL, PRIMARY KEY (id) );

CREATE TABLE IF NOT EXISTS saga_snapshots ( stream_id UUID NOT NULL, version BIGINT NOT NULL, data BYTEA NOT NULL, PRIMARY KEY (stream_id) );

CREATE TABLE IF NOT EXISTS saga_streams ( stream_id UUID NOT NULL, saga TEXT NOT NULL, key TEXT NOT NULL, generation INTEGER NOT NULL, definition_version INTEGER NOT NULL, definition_hash TEXT NOT NULL, partition SMALLINT NOT NULL, version BIGINT NOT NULL, published BIGINT NOT NULL, status TEXT NOT NULL, next_due BIGINT, started_at BIGINT NOT NULL, ended_at BIGINT, PRIMARY KEY (stream_id) );

CREATE TABLE saga_revisions_engine ( version_num VARCHAR(32) NOT NULL, CONSTRAINT saga_revisions_engine_pkc PRIMARY KEY (version_num) );

CREATE TABLE saga_revisions_order ( version_num VARCHAR(32) NOT NULL, CONSTRAINT saga_revisions_order_pkc PRIMARY KEY (version_num) );

INSERT INTO saga_definition_versions (saga, version, hash) VALUES (%(saga)s::VARCHAR, %(version)s::INTEGER, %(hash)s::VARCHAR) ON CONFLICT (saga, version) DO NOTHING RETURNING saga_definition_versions.version;

INSERT INTO saga_definitions (hash, saga, content) VALUES (%(hash)s::VARCHAR, %(saga)s::VARCHAR, %(content)s::VARCHAR) ON CONFLICT (hash) DO NOTHING;

INSERT INTO saga_leases (name, owner, expires_at) VALUES (%(name)s::VARCHAR, %(owner)s::VARCHAR, %(expires_at)s::BIGINT) ON CONFLICT (name) DO NOTHING;

INSERT INTO saga_migration_lock (name, taken_at) VALUES (%(name)s::VARCHAR, %(taken_at)s::BIGINT) ON CONFLICT (name) DO NOTHING;

INSERT INTO saga_reply_keys (id, secret, created_at) VALUES (%(id)s::VARCHAR, %(secret)s, %(created_at)s::BIGINT) ON CONFLICT (id) DO NOTHING;

INSERT INTO saga_revisions_engine (version_num) VALUES ('0001_event_streams') RETURNING saga_revisions_engine.version_num;

INSERT INTO saga_revisions_order (version_num) VALUES ('0001_inbox') RETURNING saga_revisions_order.version_num;

INSERT INTO saga_snapshots (stream_id, version, data) VALUES (%(stream_id)s::UUID, %(version)s::BIGINT, %(data)s) ON CONFLICT (stream_id) DO UPDATE SET version = excluded.version, data = excluded.data WHERE saga_snapshots.version < excluded.version;

SELECT CAST(CAST(EXTRACT(epoch FROM clock_timestamp()) AS DOUBLE PRECISION) * %(param_1)s AS BIGINT) AS anon_1;

SELECT anon_1.stream_id, anon_1.saga, anon_1.key, anon_1.generation, anon_1.definition_version, anon_1.definition_hash, anon_1.partition, anon_1.version, anon_1.published, anon_1.status, anon_1.next_due, anon_1.started_at, anon_1.ended_at FROM (SELECT anon_2.stream_id AS stream_id, anon_2.saga AS saga, anon_2.key AS key, anon_2.generation AS generation, anon_2.definition_version AS definition_version, anon_2.definition_hash AS definition_hash, anon_2.partition AS partition, anon_2.version AS version, anon_2.published AS published, anon_2.status AS status, anon_2.next_due AS next_due, anon_2.started_at AS started_at, anon_2.ended_at AS ended_at FROM (SELECT saga_streams.stream_id AS stream_id, saga_streams.saga AS saga, saga_streams.key AS key, saga_streams.generation AS generation, saga_streams.definition_version AS definition_version, saga_streams.definition_hash AS definition_hash, saga_streams.partition AS partition, saga_streams.version AS version, saga_streams.published AS published, saga_streams.status AS status, saga_streams.next_due AS next_due, saga_streams.started_at AS started_at, saga_streams.ended_at AS ended_at FROM saga_streams WHERE saga_streams.status = %(status0)s::VARCHAR ORDER BY saga_streams.stream_id DESC LIMIT %(most)s::INTEGER) AS anon_2 UNION ALL SELECT anon_3.stream_id AS stream_id, anon_3.saga AS saga, anon_3.key AS key, anon_3.generation AS generation, anon_3.definition_version AS definition_version, anon_3.definition_hash AS definition_hash, anon_3.partition AS partition, anon_3.version AS version, anon_3.published AS published, anon_3.status AS status, anon_3.next_due AS next_due, anon_3.started_at AS started_at, anon_3.ended_at AS ended_at FROM (SELECT saga_streams.stream_id AS stream_id, saga_streams.saga AS saga, saga_streams.key AS key, saga_streams.generation AS generation, saga_streams.definition_version AS definition_version, saga_streams.definition_hash AS definition_hash, saga_streams.partition AS partition, saga_streams.version AS version, saga_streams.published AS published, saga_streams.status AS status, saga_streams.next_due AS next_due, saga_streams.started_at AS started_at, saga_streams.ended_at AS ended_at FROM saga_streams WHERE saga_streams.status = %(status1)s::VARCHAR ORDER BY saga_streams.stream_id DESC LIMIT %(most)s::INTEGER) AS anon_3) AS anon_1 ORDER BY anon_1.stream_id DESC LIMIT %(most)s::INTEGER;

SELECT due.stream_id, due.saga, due.key, due.generation, due.definition_version, due.definition_hash, due.partition, due.version, due.published, due.status, due.next_due, due.started_at, due.ended_at, of_one.version AS version_1, of_one.type, of_one.data, of_one.at FROM (SELECT saga_streams.stream_id AS stream_id, saga_streams.saga AS saga, saga_streams.key AS key, saga_streams.generation AS generation, saga_streams.definition_version AS definition_version, saga_streams.definition_hash AS definition_hash, saga_streams.partition AS partition, saga_streams.version AS version, saga_streams.published AS published, saga_streams.status AS status, saga_streams.next_due AS next_due, saga_streams.started_at AS started_at, saga_streams.ended_at AS ended_at FROM saga_streams WHERE saga_streams.partition IN (%(partitions_1)s::SMALLINT, %(partitions_2)s::SMALLINT) AND saga_streams.next_due <= %(now)s::BIGINT ORDER BY saga_streams.next_due, saga_streams.stream_id LIMIT %(most)s) AS due LEFT OUTER JOIN LATERAL (SELECT saga_events.version AS version, saga_events.type AS type, saga_events.data AS data, saga_events.at AS at FROM saga_events WHERE saga_events.stream_id = due.stream_id AND due.version <= %(version_2)s::BIGINT ORDER BY saga_events.version LIMIT %(param_1)s::INTEGER) AS of_one ON true ORDER BY due.next_due, due.stream_id, of_one.version;

SELECT saga_definitions.hash, saga_definitions.saga, saga_definition_versions.version, saga_definitions.content FROM saga_definition_versions JOIN saga_definitions ON saga_definition_versions.saga = saga_definitions.saga AND saga_definition_versions.hash = saga_definitions.hash ORDER BY saga_definition_versions.saga, saga_definition_versions.version;

SELECT saga_definitions.hash, saga_definitions.saga, saga_definition_versions.version, saga_definitions.content FROM saga_definition_versions JOIN saga_definitions ON saga_definition_versions.saga = saga_definitions.saga AND saga_definition_versions.hash = saga_definitions.hash WHERE saga_definition_versions.saga = %(saga)s::VARCHAR AND saga_definition_versions.version = %(version)s::INTEGER;

SELECT saga_definitions.hash, saga_definitions.saga, saga_definition_versions.version, saga_definitions.content FROM saga_definition_versions JOIN saga_definitions ON saga_definition_versions.saga = saga_definitions.saga AND saga_definition_versions.hash = saga_definitions.hash WHERE saga_definition_versions.saga = %(saga_1)s::VARCHAR ORDER BY saga_definition_versions.saga, saga_definition_versions.version;

SELECT saga_definitions.hash, saga_definitions.saga, saga_definition_versions.version, saga_definitions.content FROM saga_definitions LEFT OUTER JOIN saga_definition_versions ON saga_definition_versions.saga = saga_definitions.saga AND saga_definition_versions.hash = saga_definitions.hash WHERE saga_definitions.hash = %(hash)s::VARCHAR;

SELECT saga_events.stream_id, saga_events.version, saga_events.type, saga_events.data, saga_events.at FROM saga_events WHERE saga_events.stream_id = ANY (CAST(%(ids)s AS UUID[])) AND saga_events.version > %(after)s::BIGINT ORDER BY saga_events.stream_id, saga_events.version;

SELECT saga_keys.key, saga_keys.saga, saga_keys.generation, saga_keys.stream_id, saga_keys.input_hash FROM saga_keys WHERE (saga_keys.key, saga_keys.saga, saga_keys.generation) IN ((%(wanted_1_1)s, %(wanted_1_2)s, %(wanted_1_3)s));

SELECT saga_keys.saga, saga_keys.key, saga_keys.generation, saga_keys.stream_id, saga_keys.input_hash FROM saga_keys WHERE saga_keys.key = %(key_1)s::VARCHAR AND saga_keys.saga = %(saga_1)s::VARCHAR ORDER BY saga_keys.saga, saga_keys.generation DESC;

SELECT saga_keys.saga, saga_keys.key, saga_keys.generation, saga_keys.stream_id, saga_keys.input_hash FROM saga_keys WHERE saga_keys.key = %(key_1)s::VARCHAR ORDER BY saga_keys.saga, saga_keys.generation DESC;

SELECT saga_leases.name, saga_leases.owner, saga_leases.expires_at FROM saga_leases ORDER BY saga_leases.name;

SELECT saga_reply_keys.id, saga_reply_keys.secret, saga_reply_keys.created_at FROM saga_reply_keys ORDER BY saga_reply_keys.created_at, saga_reply_keys.id;

SELECT saga_streams.saga, saga_streams.status, count(*) AS count_1 FROM saga_streams GROUP BY saga_streams.saga, saga_streams.status;

SELECT saga_streams.stream_id, saga_streams.saga, saga_streams.key, saga_streams.generation, saga_streams.definition_version, saga_streams.definition_hash, saga_streams.partition, saga_streams.version, saga_streams.published, saga_streams.status, saga_streams.next_due, saga_streams.started_at, saga_streams.ended_at FROM saga_streams ORDER BY saga_streams.stream_id DESC LIMIT %(most)s::INTEGER;

SELECT saga_streams.stream_id, saga_streams.saga, saga_streams.key, saga_streams.generation, saga_streams.definition_version, saga_streams.definition_hash, saga_streams.partition, saga_streams.version, saga_streams.published, saga_streams.status, saga_streams.next_due, saga_streams.started_at, saga_streams.ended_at FROM saga_streams WHERE saga_streams.partition = %(partition)s::SMALLINT AND saga_streams.next_due IS NOT NULL AND saga_streams.published < saga_streams.version AND saga_streams.stream_id > %(after)s::UUID ORDER BY saga_streams.stream_id LIMIT %(most)s;

SELECT saga_streams.stream_id, saga_streams.saga, saga_streams.key, saga_streams.generation, saga_streams.definition_version, saga_streams.definition_hash, saga_streams.partition, saga_streams.version, saga_streams.published, saga_streams.status, saga_streams.next_due, saga_streams.started_at, saga_streams.ended_at FROM saga_streams WHERE saga_streams.partition IN (%(partitions_1)s::SMALLINT, %(partitions_2)s::SMALLINT) AND saga_streams.next_due <= %(now)s::BIGINT ORDER BY saga_streams.next_due, saga_streams.stream_id LIMIT %(most)s;

SELECT saga_streams.stream_id, saga_streams.saga, saga_streams.key, saga_streams.generation, saga_streams.definition_version, saga_streams.definition_hash, saga_streams.partition, saga_streams.version, saga_streams.published, saga_streams.status, saga_streams.next_due, saga_streams.started_at, saga_streams.ended_at FROM saga_streams WHERE saga_streams.saga = %(saga)s::VARCHAR AND saga_streams.status = %(status0)s::VARCHAR AND saga_streams.stream_id < %(before)s::UUID ORDER BY saga_streams.stream_id DESC LIMIT %(most)s::INTEGER;

SELECT saga_streams.stream_id, saga_streams.saga, saga_streams.key, saga_streams.generation, saga_streams.definition_version, saga_streams.definition_hash, saga_streams.partition, saga_streams.version, saga_streams.published, saga_streams.status, saga_streams.next_due, saga_streams.started_at, saga_streams.ended_at FROM saga_streams WHERE saga_streams.stream_id = ANY (CAST(%(ids)s AS UUID[]));

SELECT saga_streams.stream_id, saga_streams.saga, saga_streams.key, saga_streams.generation, saga_streams.definition_version, saga_streams.definition_hash, saga_streams.partition, saga_streams.version, saga_streams.published, saga_streams.status, saga_streams.next_due, saga_streams.started_at, saga_streams.ended_at, saga_snapshots.version AS version_1, saga_snapshots.data FROM saga_streams LEFT OUTER JOIN saga_snapshots ON saga_snapshots.stream_id = saga_streams.stream_id WHERE saga_streams.stream_id = ANY (CAST(%(ids)s AS UUID[]));

SELECT saga_streams.stream_id, saga_streams.version FROM saga_streams WHERE saga_streams.stream_id = ANY (CAST(%(ids)s AS UUID[]));

SET LOCAL lock_timeout = '120s';

UPDATE saga_leases SET owner=%(new_owner)s::VARCHAR, expires_at=%(new_expires_at)s::BIGINT WHERE saga_leases.name = %(lease)s::VARCHAR AND saga_leases.owner = %(seen_owner)s::VARCHAR AND saga_leases.expires_at = %(seen_expires_at)s::BIGINT;

UPDATE saga_migration_lock SET taken_at=%(taken_at)s::BIGINT WHERE saga_migration_lock.name = %(name_1)s::VARCHAR;

UPDATE saga_streams SET published=greatest(saga_streams.published, settlements_rows.published), next_due=settlements_rows.next_due FROM unnest(CAST(%(settlements_stream_id)s AS UUID[]), CAST(%(settlements_version)s AS BIGINT[]), CAST(%(settlements_published)s AS BIGINT[]), CAST(%(settlements_next_due)s AS BIGINT[])) AS settlements_rows(stream_id, version, published, next_due) WHERE saga_streams.stream_id = ANY (CAST(%(ids)s AS UUID[])) AND saga_streams.stream_id = settlements_rows.stream_id AND saga_streams.version = settlements_rows.version;

WITH given AS (SELECT starts_rows.stream_id AS stream_id, starts_rows.saga AS saga, starts_rows.key AS key, starts_rows.generation AS generation, starts_rows.input_hash AS input_hash, starts_rows.definition_version AS definition_version, starts_rows.definition_hash AS definition_hash, starts_rows.partition AS partition, starts_rows.version AS version, starts_rows.published AS published, starts_rows.status AS status, starts_rows.next_due AS next_due, starts_rows.started_at AS started_at, starts_rows.ended_at AS ended_at FROM unnest(CAST(%(starts_stream_id)s AS UUID[]), CAST(%(starts_saga)s AS TEXT[]), CAST(%(starts_key)s AS TEXT[]), CAST(%(starts_generation)s AS INTEGER[]), CAST(%(starts_input_hash)s AS TEXT[]), CAST(%(starts_definition_version)s AS INTEGER[]), CAST(%(starts_definition_hash)s AS TEXT[]), CAST(%(starts_partition)s AS SMALLINT[]), CAST(%(starts_version)s AS BIGINT[]), CAST(%(starts_published)s AS BIGINT[]), CAST(%(starts_status)s AS TEXT[]), CAST(%(starts_next_due)s AS BIGINT[]), CAST(%(starts_started_at)s AS BIGINT[]), CAST(%(starts_ended_at)s AS BIGINT[])) AS starts_rows(stream_id, saga, key, generation, input_hash, definition_version, definition_hash, partition, version, published, status, next_due, started_at, ended_at)), won AS (INSERT INTO saga_keys (key, saga, generation, stream_id, input_hash) SELECT given.key AS key, given.saga AS saga, given.generation AS generation, given.stream_id AS stream_id, given.input_hash AS input_hash FROM given ON CONFLICT (key, saga, generation) DO NOTHING RETURNING saga_keys.stream_id), started AS (INSERT INTO saga_streams (stream_id, saga, key, generation, definition_version, definition_hash, partition, version, published, status, next_due, started_at, ended_at) SELECT given.stream_id AS stream_id, given.saga AS saga, given.key AS key, given.generation AS generation, given.definition_version AS definition_version, given.definition_hash AS definition_hash, given.partition AS partition, given.version AS version, given.published AS published, given.status AS status, given.next_due AS next_due, given.started_at AS started_at, given.ended_at AS ended_at FROM given JOIN won ON won.stream_id = given.stream_id), written AS (INSERT INTO saga_events (stream_id, version, type, data, at, batch_id) SELECT events_rows.stream_id AS stream_id, events_rows.version AS version, events_rows.type AS type, events_rows.data AS data, events_rows.at AS at, %(batch_id)s::UUID AS anon_1 FROM unnest(CAST(%(events_stream_id)s AS UUID[]), CAST(%(events_version)s AS BIGINT[]), CAST(%(events_type)s AS TEXT[]), CAST(%(events_at)s AS BIGINT[]), string_to_array(%(events_data)s, E'\n')) AS events_rows(stream_id, version, type, at, data) JOIN won ON won.stream_id = events_rows.stream_id) SELECT won.stream_id FROM won;

WITH moved AS (UPDATE saga_streams SET version=advances_rows.version, published=greatest(saga_streams.published, advances_rows.published), status=advances_rows.status, next_due=CASE WHEN advances_rows.moves_due THEN advances_rows.next_due ELSE coalesce(least(saga_streams.next_due, advances_rows.next_due), saga_streams.next_due, advances_rows.next_due) END, ended_at=coalesce(advances_rows.ended_at, saga_streams.ended_at) FROM unnest(CAST(%(advances_stream_id)s AS UUID[]), CAST(%(advances_expected)s AS BIGINT[]), CAST(%(advances_version)s AS BIGINT[]), CAST(%(advances_published)s AS BIGINT[]), CAST(%(advances_status)s AS TEXT[]), CAST(%(advances_next_due)s AS BIGINT[]), CAST(%(advances_ended_at)s AS BIGINT[]), CAST(%(advances_moves_due)s AS BOOLEAN[])) AS advances_rows(stream_id, expected, version, published, status, next_due, ended_at, moves_due) WHERE saga_streams.stream_id = ANY (CAST(%(ids)s AS UUID[])) AND saga_streams.stream_id = advances_rows.stream_id AND saga_streams.version = advances_rows.expected RETURNING saga_streams.stream_id), written AS (INSERT INTO saga_events (stream_id, version, type, data, at, batch_id) SELECT events_rows.stream_id AS stream_id, events_rows.version AS version, events_rows.type AS type, events_rows.data AS data, events_rows.at AS at, %(batch_id)s::UUID AS anon_1 FROM unnest(CAST(%(events_stream_id)s AS UUID[]), CAST(%(events_version)s AS BIGINT[]), CAST(%(events_type)s AS TEXT[]), CAST(%(events_at)s AS BIGINT[]), string_to_array(%(events_data)s, E'\n')) AS events_rows(stream_id, version, type, at, data) JOIN moved ON moved.stream_id = events_rows.stream_id) SELECT moved.stream_id FROM moved;

