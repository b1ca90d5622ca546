-- Goal: what all other tests use: the extension, and the assertions of the schema test.
-- Method: CREATE EXTENSION as a user would; then a handful of functions, each shown to fail on a claim that is false.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
CREATE EXTENSION oms;
CREATE SCHEMA test;

CREATE FUNCTION test.ok(claim boolean, what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF claim IS NOT TRUE THEN RAISE EXCEPTION 'not ok: %', what; END IF;
    RETURN 'ok: ' || what;
END $$;

CREATE FUNCTION test.equal(actual anycompatible, wanted anycompatible, what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    IF actual IS DISTINCT FROM wanted THEN
        RAISE EXCEPTION 'not ok: %', what USING DETAIL = format(E'actual %s\nwanted %s', actual, wanted);
    END IF;
    RETURN 'ok: ' || what;
END $$;

-- A query that must return nothing; what it does return is shown.
CREATE FUNCTION test.nothing(query text, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    rows text;
BEGIN
    EXECUTE format('SELECT string_agg(q::text, E''\n'') FROM (SELECT * FROM (%s) q LIMIT 10) q', query) INTO rows;
    IF rows IS NOT NULL THEN RAISE EXCEPTION 'not ok: %', what USING DETAIL = rows; END IF;
    RETURN 'ok: ' || what;
END $$;

-- Runs a statement in a subtransaction and says how it ended; state 00000 means that it went well, and then it stays done.
CREATE FUNCTION test.outcome(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text)
    LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
    state := '00000';
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT, detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;

-- A statement that must fail with this SQLSTATE. An error of ours names the thing in lower case without a final stop, and has a detail and
-- a hint that are sentences.
CREATE FUNCTION test.fails(statement text, wanted text, what text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    outcome record;
BEGIN
    outcome := test.outcome(statement);
    IF outcome.state <> wanted THEN
        RAISE EXCEPTION 'not ok: %', what USING DETAIL = format('state %s %s, wanted %s', outcome.state, outcome.message, wanted);
    END IF;
    IF wanted LIKE 'OM%' THEN
        IF outcome.message !~ '^[a-z0-9"]' OR outcome.message ~ '[.]$' THEN
            RAISE EXCEPTION 'not ok: the form of the message of %', what USING DETAIL = outcome.message;
        END IF;
        IF outcome.detail !~ '[.]$' OR outcome.hint !~ '[.]$' THEN
            RAISE EXCEPTION 'not ok: detail and hint of %', what USING DETAIL = format('detail %s, hint %s', outcome.detail, outcome.hint);
        END IF;
    END IF;
    RETURN 'ok: ' || what;
END $$;

-- A new idempotency key.
CREATE SEQUENCE test.key_seq;
CREATE FUNCTION test.key() RETURNS text LANGUAGE sql RETURN 'key-' || nextval('test.key_seq');

-- Takes an order one action further.
CREATE FUNCTION test.advance(id uuid, action text) RETURNS oms.order_state LANGUAGE sql
    RETURN oms.advance_order(id, action, test.key());

-- A new order, brought to a status through the machine. Two items, total 2500.
CREATE FUNCTION test.make_order(wanted text DEFAULT 'pending', customer text DEFAULT 'customer-1') RETURNS uuid LANGUAGE plpgsql AS $$
DECLARE
    id uuid;
    step text;
BEGIN
    SELECT order_id INTO id FROM oms.create_order(customer, 'EUR',
        '[{"sku": "SKU-1", "qty": 2, "price_minor": 1000}, {"sku": "SKU-2", "qty": 1, "price_minor": 500}]', test.key());
    FOREACH step IN ARRAY CASE wanted
        WHEN 'pending' THEN '{}'
        WHEN 'reserved' THEN '{reserve}'
        WHEN 'paid' THEN '{reserve, pay}'
        WHEN 'confirmed' THEN '{reserve, pay, confirm}'
        WHEN 'shipped' THEN '{reserve, pay, confirm, ship}'
        WHEN 'completed' THEN '{reserve, pay, confirm, ship, complete}'
        WHEN 'canceled' THEN '{cancel}'
        WHEN 'refunded' THEN '{reserve, pay, refund}' END::text[]
    LOOP
        PERFORM test.advance(id, step);
    END LOOP;
    RETURN id;
END $$;

-- The types of an order's events, in order.
CREATE FUNCTION test.timeline(id uuid) RETURNS text[] LANGUAGE sql
    RETURN (SELECT array_agg(type ORDER BY seq) FROM oms.order_timeline(id));

-- Appends `count` events to a stream of its own and gives the id of the last.
CREATE FUNCTION test.append(stream text, count integer, topic text DEFAULT 'readers') RETURNS bigint LANGUAGE sql VOLATILE AS $$
    SELECT last_id FROM oms.append_events('reader_test', stream, NULL,
        (SELECT jsonb_agg(jsonb_strip_nulls(jsonb_build_object('type', 'noted', 'topic', topic, 'payload', jsonb_build_object('n', n))))
         FROM generate_series(1, count) n))
$$;
-- The ids that a read hands out, in its order.
CREATE FUNCTION test.read(reader text, most integer DEFAULT 1000) RETURNS bigint[] LANGUAGE sql VOLATILE AS $$
    SELECT coalesce(array_agg(id), '{}') FROM oms.read_events(reader, most)
$$;
-- The ids that the log holds behind `above`, with one of these topics.
CREATE FUNCTION test.ids(above bigint, topics text[] DEFAULT '{readers}') RETURNS bigint[] LANGUAGE sql AS $$
    SELECT coalesce(array_agg(id ORDER BY id), '{}') FROM oms.event WHERE id > above AND topic = ANY (topics)
$$;
-- A participant: claims one task of the queue and says yes, or fails it for good with this error; answers its kind.
CREATE FUNCTION test.answer(answer text, queue text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    t record;
BEGIN
    SELECT * INTO t FROM oms.claim_tasks(queue, 1);
    IF t.task_id IS NULL THEN RETURN 'nothing to do'; END IF;
    IF answer = 'yes' THEN PERFORM oms.complete_task(t.task_id, t.lease_epoch, '{"provider_ref": "p"}');
    ELSE PERFORM oms.fail_task(t.task_id, t.lease_epoch, answer, false); END IF;
    RETURN t.kind;
END $$;
CREATE FUNCTION test.last_id() RETURNS bigint LANGUAGE sql AS 'SELECT last_value FROM oms.event_id_seq';

-- Each assertion can fail.
SELECT test.ok(true, 'a true claim');
SELECT test.ok(false, 'a false claim');
SELECT test.ok(NULL, 'an unknown claim');
SELECT test.equal(1::bigint, 1, 'one is one');
SELECT test.equal(1, 2, 'one is two');
SELECT test.equal(NULL::int, NULL, 'two NULLs are equal');
SELECT test.equal('a', NULL, 'a text equals NULL');
SELECT test.nothing('SELECT 1 WHERE false', 'no row is nothing');
SELECT test.nothing('SELECT 1', 'a row is nothing');
SELECT test.fails('SELECT 1/0', '22012', 'a division by zero');
SELECT test.fails('SELECT 1', '22012', 'no division');
SELECT test.fails('SELECT 1/0', '42601', 'another error');
SELECT test.fails($$DO 'BEGIN RAISE EXCEPTION ''Bad.'' USING ERRCODE = ''OM001''; END'$$, 'OM001', 'a message with a capital');
SELECT test.fails($$DO 'BEGIN RAISE EXCEPTION ''bad'' USING ERRCODE = ''OM001''; END'$$, 'OM001', 'a message alone');
CREATE TEMP TABLE made AS
    SELECT wanted, test.make_order(wanted) AS id
    FROM unnest('{pending,reserved,paid,confirmed,shipped,completed,canceled,refunded}'::text[]) wanted;
SELECT test.equal(oms.get_order(id) ->> 'status', wanted, 'an order can be made ' || wanted) FROM made;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
