-- Plays the functions of the schema oms that the worker calls, in plain PL/pgSQL, for tests of the worker alone. Used when
-- the server offers no extension oms with readers. Writers are serialised, so that id order is commit order and a cursor
-- can be one number; everything that the worker can see behaves as in the extension.
CREATE SCHEMA oms;

CREATE TABLE oms.event (
    id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    aggregate_type text NOT NULL, aggregate_id text NOT NULL, seq bigint NOT NULL, type text NOT NULL,
    topic text, key text, payload jsonb NOT NULL, headers jsonb NOT NULL DEFAULT '{}',
    occurred_at timestamptz NOT NULL DEFAULT clock_timestamp());
CREATE TABLE oms.reader (name text PRIMARY KEY, topics text[], cursor bigint NOT NULL);
CREATE TABLE oms.dead_letter (
    dead_letter_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, reader text, event_id bigint, topic text, key text,
    error text, attempts int, status text, UNIQUE (reader, event_id));
CREATE TABLE oms.replay (
    attempt_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, dead_letter_id bigint NOT NULL, reason text,
    ok boolean, error text);
CREATE TABLE oms.receipt (
    reader text, event_id bigint, topic text, partition int, "offset" bigint, broker_time timestamptz,
    PRIMARY KEY (reader, event_id));
CREATE TABLE oms.policy (topic text PRIMARY KEY, on_reject text NOT NULL DEFAULT 'skip', receipts boolean NOT NULL DEFAULT false);

CREATE FUNCTION oms.lock_of(name text) RETURNS bigint LANGUAGE sql AS 'SELECT hashtextextended(name, 4711)';
CREATE FUNCTION oms.position_of(name text) RETURNS bigint LANGUAGE sql AS
    $$ SELECT nullif(current_setting('stand_in.position_' || name, true), '')::bigint $$;

CREATE FUNCTION oms.create_reader(name text, topics text[] DEFAULT NULL, start_at text DEFAULT 'now') RETURNS void LANGUAGE sql AS $$
    INSERT INTO oms.reader VALUES (name, topics, CASE start_at WHEN 'beginning' THEN 0 ELSE (SELECT coalesce(max(id), 0) FROM oms.event) END)
    ON CONFLICT DO NOTHING $$;

CREATE FUNCTION oms.attach_reader(name text, takeover_wait_ms int DEFAULT 0) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM oms.reader r WHERE r.name = attach_reader.name) THEN
        RAISE EXCEPTION 'reader "%" does not exist', name USING ERRCODE = 'OM002';
    END IF;
    IF NOT pg_try_advisory_lock(oms.lock_of(name)) THEN
        IF takeover_wait_ms = 0 THEN RETURN false; END IF;
        PERFORM set_config('lock_timeout', takeover_wait_ms::text, true);
        BEGIN
            PERFORM pg_advisory_lock(oms.lock_of(name));
        EXCEPTION WHEN lock_not_available THEN
            RETURN false;
        END;
    END IF;
    PERFORM set_config('stand_in.position_' || name, (SELECT cursor::text FROM oms.reader r WHERE r.name = attach_reader.name), false);
    RETURN true;
END $$;

CREATE FUNCTION oms.detach_reader(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_advisory_unlock(oms.lock_of(name)), set_config('stand_in.position_' || name, '', false);
END $$;

CREATE FUNCTION oms.read_events(name text, max_events int DEFAULT 1000, max_bytes bigint DEFAULT NULL)
RETURNS TABLE (id bigint, aggregate_type text, aggregate_id text, seq bigint, type text, topic text, key text, payload jsonb,
               headers jsonb, occurred_at timestamptz) LANGUAGE plpgsql AS $$
#variable_conflict use_column
DECLARE
    behind bigint := oms.position_of(name);
    wanted text[] := (SELECT r.topics FROM oms.reader r WHERE r.name = read_events.name);
    event oms.event;
    bytes bigint := 0;
BEGIN
    IF behind IS NULL THEN RAISE EXCEPTION 'this session does not own reader "%"', name USING ERRCODE = 'OM003'; END IF;
    FOR event IN SELECT * FROM oms.event e WHERE e.id > behind AND (wanted IS NULL OR e.topic = ANY (wanted)) ORDER BY e.id LIMIT max_events
    LOOP
        bytes := bytes + pg_column_size(event.payload);
        EXIT WHEN bytes > max_bytes AND behind <> oms.position_of(name);
        behind := event.id;
        RETURN QUERY SELECT event.id, event.aggregate_type, event.aggregate_id, event.seq, event.type, event.topic, event.key,
            event.payload, event.headers, event.occurred_at;
    END LOOP;
    PERFORM set_config('stand_in.position_' || name, behind::text, false);
END $$;

CREATE FUNCTION oms.commit_reader(name text, "position" bigint DEFAULT NULL) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF "position" > oms.position_of(name) OR oms.position_of(name) IS NULL THEN
        RAISE EXCEPTION 'reader "%" has not read %', name, "position" USING ERRCODE = 'OM001';
    END IF;
    UPDATE oms.reader r SET cursor = coalesce("position", oms.position_of(commit_reader.name)) WHERE r.name = commit_reader.name;
END $$;

CREATE FUNCTION oms.reader_status(name text DEFAULT NULL)
RETURNS TABLE (name text, topics text[], owner_pid int, lag_events bigint, lag_seconds double precision, oldest_pending timestamptz)
LANGUAGE sql AS $$
    SELECT r.name, r.topics,
        (SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
            AND (classid::bigint << 32 | objid::bigint) = oms.lock_of(r.name)),
        (SELECT count(*) FROM oms.event e WHERE e.id > r.cursor),
        (SELECT extract(epoch FROM clock_timestamp() - min(occurred_at))::double precision FROM oms.event e WHERE e.id > r.cursor),
        (SELECT min(occurred_at) FROM oms.event e WHERE e.id > r.cursor)
    FROM oms.reader r WHERE reader_status.name IS NULL OR r.name = reader_status.name $$;

CREATE FUNCTION oms.doorbell_arm() RETURNS boolean LANGUAGE sql AS 'SELECT pg_try_advisory_lock(4712)';
CREATE FUNCTION oms.doorbell_disarm() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_unlock(4712)';

CREATE FUNCTION oms.blocked_keys(reader text) RETURNS TABLE (topic text, key text) LANGUAGE sql AS $$
    SELECT DISTINCT d.topic, d.key FROM oms.dead_letter d JOIN oms.policy p USING (topic)
    WHERE p.on_reject = 'block_key' AND d.reader = blocked_keys.reader AND d.status IN ('failed', 'parked', 'replaying') $$;
CREATE FUNCTION oms.reject_event(reader text, event_id bigint, error text, attempts int, parked boolean DEFAULT false) RETURNS bigint
LANGUAGE sql AS $$
    INSERT INTO oms.dead_letter (reader, event_id, topic, key, error, attempts, status)
    SELECT reject_event.reader, e.id, e.topic, e.key, reject_event.error, reject_event.attempts, CASE WHEN parked THEN 'parked' ELSE 'failed' END
    FROM oms.event e
    WHERE e.id = reject_event.event_id
      AND (NOT parked OR EXISTS (SELECT FROM oms.blocked_keys(reject_event.reader) b WHERE b.topic = e.topic AND b.key = e.key))
    ON CONFLICT (reader, event_id) DO UPDATE SET error = excluded.error
    RETURNING dead_letter_id $$;
CREATE FUNCTION oms.dead_letters_ahead(reader text) RETURNS TABLE (event_id bigint, topic text, key text, error text, parked boolean) LANGUAGE sql AS $$
    SELECT d.event_id, d.topic, d.key, d.error, d.attempts = 0 FROM oms.dead_letter d JOIN oms.reader r ON r.name = d.reader
    WHERE d.reader = dead_letters_ahead.reader AND d.event_id > r.cursor ORDER BY d.event_id $$;
CREATE FUNCTION oms.topic_policies() RETURNS TABLE (topic text, on_reject text, receipts boolean) LANGUAGE sql AS
    'SELECT topic, on_reject, receipts FROM oms.policy';

CREATE FUNCTION oms.take_replays(reader text, max_events int)
RETURNS TABLE (attempt_id bigint, dead_letter_id bigint, id bigint, aggregate_type text, aggregate_id text, seq bigint, type text,
               topic text, key text, payload jsonb, headers jsonb, occurred_at timestamptz) LANGUAGE sql AS $$
    SELECT r.attempt_id, d.dead_letter_id, e.id, e.aggregate_type, e.aggregate_id, e.seq, e.type, e.topic, e.key, e.payload,
        e.headers, e.occurred_at
    FROM oms.replay r JOIN oms.dead_letter d USING (dead_letter_id) JOIN oms.event e ON e.id = d.event_id
    WHERE d.reader = take_replays.reader AND r.ok IS NULL ORDER BY e.id LIMIT max_events $$;
CREATE FUNCTION oms.settle_replay(attempt_id bigint, ok boolean, error text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
    WITH settled AS (
        UPDATE oms.replay r SET ok = settle_replay.ok, error = settle_replay.error WHERE r.attempt_id = settle_replay.attempt_id RETURNING dead_letter_id)
    UPDATE oms.dead_letter d SET status = CASE WHEN ok THEN 'sent' ELSE 'failed' END FROM settled s WHERE d.dead_letter_id = s.dead_letter_id $$;

CREATE FUNCTION oms.record_receipts(reader text, event_ids bigint[], topics text[], partitions int[], offsets bigint[], broker_times timestamptz[])
RETURNS void LANGUAGE sql AS $$
    INSERT INTO oms.receipt SELECT reader, * FROM unnest(event_ids, topics, partitions, offsets, broker_times) ON CONFLICT DO NOTHING $$;

CREATE FUNCTION oms.dlq_list(filter jsonb DEFAULT '{}', "limit" int DEFAULT 100) RETURNS SETOF oms.dead_letter LANGUAGE sql AS
    $$ SELECT * FROM oms.dead_letter d WHERE to_jsonb(d) @> filter ORDER BY dead_letter_id LIMIT "limit" $$;
CREATE FUNCTION oms.dlq_replay(ids bigint[] DEFAULT NULL, filter jsonb DEFAULT NULL, "limit" int DEFAULT 100, rate int DEFAULT NULL,
                               dry_run boolean DEFAULT true, reason text DEFAULT NULL) RETURNS SETOF oms.dead_letter LANGUAGE plpgsql AS $$
DECLARE letter oms.dead_letter;
BEGIN
    FOR letter IN SELECT * FROM oms.dead_letter d WHERE (ids IS NULL OR d.dead_letter_id = ANY (ids)) AND (filter IS NULL OR to_jsonb(d) @> filter)
                  ORDER BY event_id LIMIT "limit" LOOP
        IF NOT dry_run THEN
            INSERT INTO oms.replay (dead_letter_id, reason) VALUES (letter.dead_letter_id, dlq_replay.reason);
            UPDATE oms.dead_letter SET status = 'replaying' WHERE dead_letter_id = letter.dead_letter_id;
        END IF;
        RETURN NEXT letter;
    END LOOP;
END $$;
CREATE FUNCTION oms.dlq_discard(ids bigint[], reason text) RETURNS SETOF oms.dead_letter LANGUAGE sql AS
    $$ UPDATE oms.dead_letter SET status = 'discarded' WHERE dead_letter_id = ANY (ids) RETURNING * $$;

CREATE FUNCTION oms.metrics() RETURNS TABLE (name text, labels jsonb, value double precision) LANGUAGE sql AS
    $$ SELECT 'oms_active_sagas', '{"definition": "a \"quoted\" one"}'::jsonb, 3 $$;

CREATE TABLE oms.timer (timer_id bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY, due_at timestamptz NOT NULL);
CREATE FUNCTION oms.clock_time() RETURNS timestamptz LANGUAGE sql AS 'SELECT clock_timestamp()';
CREATE FUNCTION oms.next_due() RETURNS timestamptz LANGUAGE sql AS 'SELECT min(due_at) FROM oms.timer';
CREATE FUNCTION oms.run_due("limit" int DEFAULT 1000) RETURNS int LANGUAGE sql AS $$
    WITH due AS (SELECT timer_id FROM oms.timer WHERE due_at <= clock_timestamp() ORDER BY due_at LIMIT "limit" FOR UPDATE SKIP LOCKED),
         done AS (DELETE FROM oms.timer t USING due WHERE t.timer_id = due.timer_id RETURNING 1)
    SELECT count(*)::int FROM done $$;
CREATE FUNCTION oms.clock_arm() RETURNS boolean LANGUAGE sql AS 'SELECT pg_try_advisory_lock_shared(4714)';
CREATE FUNCTION oms.clock_disarm() RETURNS void LANGUAGE sql AS 'SELECT pg_advisory_unlock_shared(4714)';

-- What the tests do as producers.
CREATE SCHEMA worker_test;
CREATE FUNCTION worker_test.append(aggregate text, topic text, payload jsonb DEFAULT '{}', headers jsonb DEFAULT '{}') RETURNS bigint
LANGUAGE plpgsql AS $$
DECLARE appended bigint;
BEGIN
    PERFORM pg_advisory_xact_lock(4713);
    INSERT INTO oms.event (aggregate_type, aggregate_id, seq, type, topic, key, payload, headers)
    SELECT 'order', aggregate, count(*) + 1, 'order.created', append.topic, aggregate, append.payload, append.headers
    FROM oms.event e WHERE e.aggregate_id = aggregate
    RETURNING id INTO appended;
    IF NOT pg_try_advisory_xact_lock_shared(4712) THEN PERFORM pg_notify('oms_doorbell', ''); END IF;
    RETURN appended;
END $$;
CREATE FUNCTION worker_test.set_policy(topic text, on_reject text, receipts boolean) RETURNS void LANGUAGE sql AS
    $$ INSERT INTO oms.policy VALUES (topic, on_reject, receipts) $$;
CREATE FUNCTION worker_test.pending(reader text) RETURNS bigint LANGUAGE sql AS
    $$ SELECT lag_events FROM oms.reader_status(reader) $$;
CREATE FUNCTION worker_test.receipts() RETURNS TABLE (event_id bigint, topic text, partition int, "offset" bigint, broker_time timestamptz)
    LANGUAGE sql AS $$ SELECT event_id, topic, partition, "offset", broker_time FROM oms.receipt $$;
CREATE FUNCTION worker_test.set_timer(delay interval) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO oms.timer (due_at) VALUES (clock_timestamp() + delay);
    IF delay <= '10s' AND NOT pg_try_advisory_xact_lock(4714) THEN PERFORM pg_notify('oms_clock', ''); END IF;
END $$;
