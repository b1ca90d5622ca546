-- Goal: the queries show what was written, each filter selects what it names, and a walk over pages is complete and without repetition.
-- Method: orders of one customer under a moving clock; every filter against the same condition in SQL; walks by different page sizes.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.actor = 'ann';

-- get_order and order_timeline
SET oms.now_override = '2051-04-01 10:00:00+00';
SELECT order_id AS a FROM oms.create_order('query-1', 'EUR', '[{"sku": "b", "qty": 2, "price_minor": 5, "note": "x"}, {"sku": "a", "qty": 1, "price_minor": 1}]', 'q1', 'ref-1', '{"k": [1]}') \gset
SET oms.now_override = '2051-04-01 10:00:01+00';
SELECT status FROM oms.hold_order(:'a', 'look', test.key());
SELECT replace(jsonb_pretty(oms.get_order(:'a')), :'a', 'ORDER');
SELECT seq, type, prev_status, status, reason, actor, occurred_at, payload ->> 'version' AS version, event_id > 0 AS event FROM oms.order_timeline(:'a');
SELECT test.equal((SELECT array_agg(event_id ORDER BY seq) FROM oms.order_timeline(:'a')), (SELECT array_agg(id ORDER BY seq) FROM oms.event WHERE aggregate_id = :'a'), 'the timeline is the log');
SELECT test.fails(format('SELECT oms.%s(%L)', f, id), 'OM002', f || ' of ' || what) FROM unnest('{get_order, order_timeline}'::text[]) f,
    (VALUES ('00000000-0000-7000-8000-000000000000', 'an id that was not given'), ('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 'another kind of id'),
            ('ffffffff-ffff-7fff-bfff-ffffffffffff', 'an id at the end of time')) v(id, what);
SELECT test.fails('SELECT oms.' || f || '(NULL)', 'OM001', f || ' of NULL') FROM unnest('{get_order, order_timeline}'::text[]) f;

-- Sixty orders of three customers, a second apart, some at the same microsecond.
CREATE TEMP TABLE made (order_id uuid);
DO $$
DECLARE
    id uuid;
BEGIN
    FOR i IN 1..60 LOOP
        PERFORM set_config('oms.now_override', (timestamptz '2051-05-01 00:00:00+00' + (i / 3) * interval '1 second')::text, false);
        SELECT order_id INTO id FROM oms.create_order('list-' || i % 3, (ARRAY['EUR', 'USD'])[1 + i % 2], '[{"sku": "a", "qty": 1, "price_minor": 10}]', 'list-' || i,
            CASE WHEN i % 5 = 0 THEN 'ref-' || i % 10 END);
        INSERT INTO made VALUES (id);
        IF i % 4 = 1 THEN PERFORM test.advance(id, 'reserve'); END IF;
        IF i % 4 = 2 THEN PERFORM test.advance(id, 'cancel'); END IF;
        IF i % 6 = 3 THEN PERFORM oms.hold_order(id, 'x', test.key()); END IF;
    END LOOP;
END $$;
CREATE TEMP TABLE known AS SELECT o.* FROM oms.orders o JOIN made USING (order_id);

-- Every filter, alone and together, selects what the condition beside it selects; what other tests made is kept out by the time.
CREATE TEMP TABLE filter (filter jsonb, condition text);
INSERT INTO filter VALUES
    ('{}', 'true'),
    ('{"customer_id": "list-1"}', 'customer_id = ''list-1'''),
    ('{"status": "pending"}', 'status = ''pending'''),
    ('{"status": ["pending", "reserved"]}', 'status IN (''pending'', ''reserved'')'),
    ('{"status": "cancelled"}', 'status = ''canceled'''),
    ('{"status": ["cancelled", "paid"]}', 'status = ''canceled'''),
    ('{"status": []}', 'false'),
    ('{"status": "unheard_of"}', 'false'),
    ('{"currency": "USD"}', 'currency = ''USD'''),
    ('{"external_ref": "ref-5"}', 'external_ref = ''ref-5'''),
    ('{"on_hold": true}', 'on_hold'),
    ('{"on_hold": false}', 'NOT on_hold'),
    ('{"created_from": "2051-05-01 00:00:05+00"}', 'created_at >= ''2051-05-01 00:00:05+00'''),
    ('{"created_to": "2051-05-01T00:00:05Z"}', 'created_at < ''2051-05-01 00:00:05+00'''),
    ('{"created_from": "2051-05-01 02:00:03+02", "created_to": "2051-05-01 00:00:09+00", "status": ["pending"], "customer_id": "list-0", "on_hold": false}',
     'created_at >= ''2051-05-01 00:00:03+00'' AND created_at < ''2051-05-01 00:00:09+00'' AND status = ''pending'' AND customer_id = ''list-0'' AND NOT on_hold');
DO $$
DECLARE
    f filter;
    wanted uuid[];
    found uuid[];
BEGIN
    FOR f IN SELECT * FROM filter LOOP
        EXECUTE format('SELECT coalesce(array_agg(order_id ORDER BY order_id DESC), ''{}'') FROM known WHERE %s', f.condition) INTO wanted;
        SELECT coalesce(array_agg(order_id ORDER BY nth), '{}') INTO found
        FROM oms.list_orders('{"created_from": "2051-05-01 00:00:00+00", "created_to": "2051-05-02 00:00:00+00"}' || f.filter, NULL, 1000) WITH ORDINALITY
            l(order_id, customer_id, status, on_hold, hold_reason, pending_action, currency, total_minor, paid_minor, refunded_minor, version,
              external_ref, metadata, created_at, updated_at, next_cursor, nth);
        PERFORM test.equal(found, wanted, f.filter::text);
    END LOOP;
END $$;
-- All columns come back.
SELECT test.nothing($$(SELECT order_id, customer_id, status, on_hold, hold_reason, pending_action, currency, total_minor, paid_minor, refunded_minor, version, external_ref, metadata, created_at, updated_at FROM known)
    EXCEPT (SELECT order_id, customer_id, status, on_hold, hold_reason, pending_action, currency, total_minor, paid_minor, refunded_minor, version, external_ref, metadata, created_at, updated_at
    FROM oms.list_orders('{"created_from": "2051-05-01 00:00:00+00", "created_to": "2051-05-02 00:00:00+00"}', NULL, 1000))$$, 'a listed order is the row');

-- A walk by pages of any size gives every order once, newest first, also when orders are added at its head meanwhile.
CREATE FUNCTION pg_temp.walk(filter jsonb, page int) RETURNS SETOF uuid LANGUAGE plpgsql AS $$
DECLARE
    row record;
    cursor text;
    seen int;
BEGIN
    LOOP
        seen := 0;
        FOR row IN SELECT * FROM oms.list_orders(filter, cursor, page) LOOP
            RETURN NEXT row.order_id;
            cursor := row.next_cursor;
            seen := seen + 1;
        END LOOP;
        EXIT WHEN seen < page;
        PERFORM set_config('oms.now_override', '2051-06-01 00:00:00+00', false);
        PERFORM oms.create_order('list-0', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 10}]', test.key());
    END LOOP;
END $$;
SELECT test.equal((SELECT array_agg(w) FROM pg_temp.walk('{"created_from": "2051-05-01 00:00:00+00", "created_to": "2051-05-02 00:00:00+00"}', page) w),
    (SELECT array_agg(order_id ORDER BY order_id DESC) FROM known), 'pages of ' || page) FROM unnest('{1, 7, 20, 60, 61, 1000}'::int[]) page;
SELECT test.equal((SELECT array_agg(w) FROM pg_temp.walk('{"customer_id": "list-0", "created_from": "2051-05-01 00:00:00+00", "created_to": "2051-05-02 00:00:00+00"}', 3) w),
    (SELECT array_agg(order_id ORDER BY order_id DESC) FROM known WHERE customer_id = 'list-0'), 'pages of one customer');
SELECT test.equal((SELECT count(*) FROM oms.list_orders()), least(100, (SELECT count(*) FROM oms.orders)), 'a page has 100 orders unless told otherwise');
SELECT test.fails(format('SELECT * FROM oms.list_orders(''{}'', %L, %s)', cursor, l), 'OM001', format('cursor %s, limit %s', cursor, l))
FROM (VALUES (NULL, 0), (NULL, -1), (NULL, 1001), ('', 1), ('x', 1), ('6ba7b810-9dad-11d1-80b4-00c04fd430c8', 1), (repeat('f', 36), 1)) v(cursor, l);

-- list_events
SELECT test.equal((SELECT array_agg(id ORDER BY nth) FROM oms.list_events(jsonb_build_object('aggregate_id', :'a')) WITH ORDINALITY
    l(id, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at, next_cursor, nth)),
    (SELECT array_agg(id ORDER BY id) FROM oms.event WHERE aggregate_id = :'a'), 'the events of one aggregate');
CREATE TEMP TABLE event_filter (filter jsonb, condition text);
INSERT INTO event_filter VALUES
    ('{"aggregate_type": "order"}', 'aggregate_type = ''order'''), ('{"aggregate_type": "nothing"}', 'false'),
    ('{"type": "order.canceled"}', 'type = ''order.canceled'''), ('{"type": ["order.canceled", "order.held"]}', 'type IN (''order.canceled'', ''order.held'')'),
    ('{"topic": "oms.order.events"}', 'topic = ''oms.order.events'''),
    ('{"occurred_from": "2051-05-01 00:00:02+00", "occurred_to": "2051-05-01 00:00:04+00"}', 'occurred_at >= ''2051-05-01 00:00:02+00'' AND occurred_at < ''2051-05-01 00:00:04+00''');
DO $$
DECLARE
    f record;
    wanted bigint[];
    found bigint[];
    page bigint[];
    cursor text;
BEGIN
    FOR f IN SELECT * FROM event_filter, unnest('{asc, desc}'::text[]) direction LOOP
        EXECUTE format('SELECT coalesce(array_agg(id ORDER BY id %s), ''{}'') FROM oms.event WHERE occurred_at BETWEEN ''2051-05-01 00:00:00+00'' AND ''2051-05-01 23:59:59+00'' AND %s', f.direction, f.condition) INTO wanted;
        found := '{}';
        cursor := NULL;
        LOOP
            SELECT array_agg(id ORDER BY nth), (array_agg(next_cursor ORDER BY nth DESC))[1] INTO page, cursor
            FROM oms.list_events('{"occurred_from": "2051-05-01 00:00:00+00", "occurred_to": "2051-05-02 00:00:00+00"}' || f.filter || jsonb_build_object('order', f.direction), cursor, 50) WITH ORDINALITY
                l(id, aggregate_type, aggregate_id, seq, type, topic, key, payload, headers, occurred_at, next_cursor, nth);
            EXIT WHEN page IS NULL;
            found := found || page;
        END LOOP;
        PERFORM test.equal(found, wanted, f.filter || f.direction);
    END LOOP;
END $$;
SELECT test.fails(format('SELECT * FROM oms.list_events(%L, %L, %s)', filter, cursor, l), 'OM001', format('filter %s, cursor %s, limit %s', filter, cursor, l))
FROM (VALUES ('{}', NULL, 0), ('{}', NULL, 1001), ('{}', '', 1), ('{}', '12x', 1), ('{}', '99999999999999999999', 1), ('{}', ' 1', 1),
    ('{"order": "up"}', NULL, 1), ('{"order": 1}', NULL, 1), ('{"unknown": 1}', NULL, 1), ('{"aggregate_id": 1}', NULL, 1), ('[]', NULL, 1), ('"x"', NULL, 1)) v(filter, cursor, l);
SELECT count(*) FROM oms.list_events(NULL, NULL, 3);

-- Filters that are not understood are refused, by name.
SELECT message, detail, hint FROM test.outcome($$SELECT * FROM oms.list_orders('{"customer": "x"}')$$);
SELECT test.fails(format('SELECT * FROM oms.list_orders(%L)', filter), 'OM001', filter) FROM unnest(ARRAY['[]', '1', 'null', '"x"', '{"customer_id": 1}', '{"customer_id": null}',
    '{"status": 1}', '{"status": [1]}', '{"status": ["paid", null]}', '{"status": {}}', '{"on_hold": "yes"}', '{"on_hold": null}', '{"created_from": 0}', '{"created_from": "soon"}', '{"created_to": ""}',
    '{"created_to": "infinity"}', '{"created_from": "2026-02-30 00:00:00+00"}', '{"created_from": "294277-01-01 00:00:00+00"}', '{"": ""}']) filter;

-- A query inside a statement sees what the statement sees, not what it does.
SELECT test.fails($$SELECT oms.get_order((oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', test.key())).order_id)$$, 'OM002', 'a query is as old as its statement');
SELECT oms.customer_hash('customer-1') BETWEEN 0 AND 65535 AS in_range, oms.customer_hash('') BETWEEN 0 AND 65535 AS empty_too, oms.customer_hash('ü') = oms.customer_hash('ü') AS stable;
