-- Goal: whatever anybody calls, in whatever order, with whatever arguments: the session answers, the data stays whole, nothing leaks.
-- Method: 100,000 calls at random over everything in oms.api, in one session. Arguments are good and bad values of their type; often they are what an earlier
-- call answered, so that orders, readers and dead letters live on. Transactions end either way, at every isolation level; some may only read.
-- What comes back is an answer or an error that stands in the list below; memory does not grow once every function has been called.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
\set seed 0.20260101
\echo seed :seed
SET synchronous_commit = off;
-- Nobody else is here: who waits for a lock waits for itself.
SET lock_timeout = '10s';
SET statement_timeout = '10min';
SET oms.now_override = '2030-01-01 00:00+00';

CREATE ROLE jump_safety_role;
CREATE SCHEMA jump_safety;
CREATE FUNCTION jump_safety.step(context jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT NULL::jsonb $$;
CREATE FUNCTION jump_safety.broken(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$;
CREATE FUNCTION jump_safety.fails_often(context jsonb) RETURNS jsonb LANGUAGE plpgsql AS $$ BEGIN IF random() < 0.5 THEN RAISE EXCEPTION 'not now'; END IF; RETURN NULL; END $$;

-- The errors of PostgreSQL's own that a call may end with.
CREATE TEMP TABLE own_error (state text PRIMARY KEY, why text);
INSERT INTO own_error VALUES
    ('25006', 'a command in a transaction that may only read');

-- Values by argument and type; arg NULL: for every argument of the type that has none of its own. $n becomes the number of the call.
CREATE TEMP TABLE value (type regtype, arg text, good boolean, expression text);
INSERT INTO value SELECT t, NULL, false, 'NULL' FROM unnest('{text,uuid,int,bigint,boolean,jsonb,interval,timestamptz,regrole,text[],int[],bigint[],timestamptz[]}'::regtype[]) t;
INSERT INTO value SELECT 'text', NULL, false, e FROM unnest(ARRAY[$$''$$, $$' '$$, $$repeat('x', 256)$$, $$repeat('x', 10000)$$, $$repeat('é', 128)$$, $$E'a\nb\tc\u0001'$$,
    $$'''; DROP TABLE oms.orders; --'$$, $$'%s%n%d %1$s'$$, $$U&'\+01F4A9\FEFF\202E'$$, $$'<script>"\\'$$, $$'no_such_thing'$$, $$'infinity'$$, $$'9223372036854775808'$$]) e;
INSERT INTO value SELECT 'uuid', NULL, false, e FROM unnest(ARRAY[$$'00000000-0000-0000-0000-000000000000'$$, $$'ffffffff-ffff-ffff-ffff-ffffffffffff'$$, 'gen_random_uuid()',
    $$'ffffffff-ffff-7fff-bfff-ffffffffffff'$$, $$'00000000-0000-7000-8000-000000000000'$$]) e;
INSERT INTO value SELECT 'int', NULL, false, e FROM unnest(ARRAY['0', '(-1)', '2147483647', '(-2147483648)', '100001', '1000000000']) e;
INSERT INTO value SELECT 'bigint', NULL, false, e FROM unnest(ARRAY['0', '(-1)', '9223372036854775807', '(-9223372036854775808)', '2147483648', '4294967296']) e;
INSERT INTO value SELECT 'interval', NULL, false, e FROM unnest(ARRAY[$$'0'$$, $$'-1 day'$$, $$'178000000 years'$$, $$'-178000000 years'$$, $$'1 month -1 day 00:00:00.000001'$$]) e;
INSERT INTO value SELECT 'timestamptz', NULL, false, e FROM unnest(ARRAY[$$'infinity'$$, $$'-infinity'$$, $$'4713-01-01 BC'$$, $$'294276-12-31'$$, $$'epoch'$$]) e;
INSERT INTO value SELECT 'text[]', NULL, false, e FROM unnest(ARRAY[$$'{}'$$, $$'{NULL}'$$, $$'{"", ""}'$$, $$'{a, a, NULL}'$$, $$'{{a, b}, {c, d}}'$$, $$'[5:6]={a, b}'$$, $$array_fill('x'::text, ARRAY[1000])$$]) e;
INSERT INTO value SELECT 'int[]', NULL, false, e FROM unnest(ARRAY[$$'{}'$$, $$'{NULL}'$$, $$'{{1}}'$$, $$'{-1}'$$, $$'{1, 1, 2147483647}'$$, $$array_fill(1, ARRAY[1000])$$]) e;
INSERT INTO value SELECT 'bigint[]', NULL, false, e FROM unnest(ARRAY[$$'{}'$$, $$'{NULL, 1}'$$, $$'{{1}}'$$, $$'{1, 1, 1}'$$, $$'{-1, 9223372036854775807}'$$, $$array_fill(1::bigint, ARRAY[1000])$$]) e;
INSERT INTO value SELECT 'timestamptz[]', NULL, false, e FROM unnest(ARRAY[$$'{}'$$, $$'{NULL}'$$, $$'{infinity, -infinity}'$$, $$'{{now}}'$$]) e;
INSERT INTO value SELECT 'jsonb', NULL, false, e FROM unnest(ARRAY[$$'null'$$, $$'true'$$, $$'1e1000'$$, $$'-0.1'$$, $$'"x"'$$, $$'[]'$$, $$'{}'$$, $$'[[]]'$$, $$'[null]'$$, $$'[{}]'$$, $$'{"": {"": []}}'$$,
    $$'{"status": 1, "type": {}, "customer_id": null, "queue": [], "steps": "x", "limit": -1}'$$, $$'{"created_from": "infinity", "order": "up", "on_hold": "no"}'$$,
    $$'[{"sku": "a", "qty": 9223372036854775807, "price_minor": 9223372036854775807}]'$$, $$'[{"sku": "a", "qty": -1, "price_minor": "1"}, 7]'$$,
    $$'{"steps": [{"name": "a", "kind": "magic"}]}'$$, $$'{"steps": [{"name": "a", "kind": "parallel", "steps": [{"name": "a", "kind": "sql"}]}], "deadline_ms": 0}'$$,
    $$(repeat('[', 300) || repeat(']', 300))$$, $$(repeat('{"a":', 200) || '1' || repeat('}', 200))$$]) e;
INSERT INTO value VALUES ('text', NULL, true, $$'x'$$), ('text', NULL, true, 'NULL'), ('uuid', NULL, true, 'gen_random_uuid()'), ('uuid', NULL, true, 'NULL'), ('int', NULL, true, '1'), ('int', NULL, true, 'NULL'),
    ('bigint', NULL, true, '1'), ('bigint', NULL, true, 'NULL'), ('boolean', NULL, true, 'true'), ('boolean', NULL, true, 'false'), ('jsonb', NULL, true, $$'{}'$$),
    ('jsonb', NULL, true, 'NULL'), ('jsonb', NULL, true, $$'{"a": [1, {"b": null}], "é": "x"}'$$), ('interval', NULL, true, $$'1 hour'$$), ('interval', NULL, true, 'NULL'),
    ('timestamptz', NULL, true, $$current_setting('oms.now_override')$$),
    ('timestamptz', NULL, true, $$(current_setting('oms.now_override')::timestamptz + interval '1 hour')$$), ('timestamptz', NULL, true, 'NULL'), ('regrole', NULL, true, $$'jump_safety_role'$$),
    ('text[]', NULL, true, $$'{x}'$$), ('text[]', NULL, true, 'NULL'), ('int[]', NULL, true, $$'{0}'$$), ('bigint[]', NULL, true, $$'{1}'$$), ('timestamptz[]', NULL, true, 'ARRAY[now()]');
INSERT INTO value SELECT v.type::regtype, v.arg, true, e FROM (VALUES
    ('text', 'idempotency_key', array_fill($$'jump-$n'$$::text, ARRAY[9]) || $$'jump-0'$$::text),
    ('text', 'customer_id', ARRAY[$$'customer-1'$$, $$'customer-2'$$]),
    ('text', 'currency', ARRAY[$$'EUR'$$, $$'EUR'$$, $$'JPY'$$]),
    ('text', 'sku', ARRAY[$$'a'$$, $$'b'$$, $$'new-$n'$$]),
    ('text', 'action', ARRAY[$$'reserve'$$, $$'pay'$$, $$'confirm'$$, $$'ship'$$, $$'complete'$$, $$'cancel'$$, $$'refund'$$]),
    ('text', 'status', ARRAY[$$'pending'$$, $$'reserved'$$, $$'paid'$$, $$'confirmed'$$, $$'shipped'$$, $$'completed'$$]),
    ('text', 'command', ARRAY[$$'ship_order'$$, $$'cancel_order'$$, $$'refund_order'$$, $$'reserve'$$, $$'pay_order'$$, $$'advance_order'$$]),
    ('jsonb', 'arguments', ARRAY[$$'{}'$$, $$'{"reason": "x"}'$$, $$'{"action": "reserve"}'$$]),
    ('bigint', 'command_id', ARRAY['(SELECT max(command_id) FROM oms.queued_command)']),
    ('interval', 'give_up_after', ARRAY[$$'1 day'$$, $$'1 microsecond'$$]),
    ('text', 'format', ARRAY[$$'mermaid'$$, $$'dot'$$]),
    ('text', 'name', ARRAY[$$'jump-1'$$, $$'jump-2'$$, $$'jump-3'$$]),
    ('text', 'reader', ARRAY[$$'jump-1'$$, $$'jump-2'$$]),
    ('text', 'start_at', ARRAY[$$'now'$$, $$'beginning'$$]),
    ('text', 'on_reject', ARRAY[$$'skip'$$, $$'block_key'$$]),
    ('text', 'topic', ARRAY[$$'oms.order.events'$$, $$'jump'$$]),
    ('text', 'aggregate_type', ARRAY[$$'jump'$$]),
    ('text', 'aggregate_id', ARRAY[$$'jump-1'$$, $$'jump-$n'$$]),
    ('text', 'queue', ARRAY[$$'jump-1'$$, $$'jump-2'$$, $$'payments'$$]),
    ('text', 'kind', ARRAY[$$'jump'$$]),
    ('text', 'outcome', ARRAY['NULL', $$'succeeded'$$, $$'refused'$$]),
    ('text', 'definition', ARRAY[$$'jump-1'$$, $$'jump-2'$$]),
    ('text[]', 'topics', ARRAY['NULL', $$'{oms.order.events, jump}'$$, $$'{*}'$$]),
    ('text[]', 'audiences', ARRAY[$$'{reader}'$$, $$'{application, worker}'$$]),
    ('int', 'takeover_wait_ms', ARRAY['0']),
    ('int', 'max_events', ARRAY['1', '3', '10']),
    ('int', 'limit', ARRAY['1', '10']),
    ('int', 'attempts', ARRAY['1', '2147483647']),
    ('int', 'rate', ARRAY['NULL', '100']),
    ('int', 'max_tasks', ARRAY['1', '10']),
    ('interval', 'lease', ARRAY[$$'1 hour'$$, $$'1 hour'$$, $$'1 minute'$$]),
    ('bigint', 'amount_minor', ARRAY['NULL', '1', '100']),
    ('bigint[]', 'ids', ARRAY['NULL', $$'{1, 2, 3}'$$]),
    ('bigint', 'on_hand', ARRAY['1000', '0']),
    ('bigint', 'expected_version', ARRAY['NULL', '0', '1']),
    ('int', 'expected_version', array_fill('NULL'::text, ARRAY[9]) || '1'::text),
    ('jsonb', 'items', ARRAY[$$'[{"sku": "a", "qty": 2, "price_minor": 1000}, {"sku": "b", "qty": 1, "price_minor": 500}]'$$, $$'[{"sku": "a", "qty": 1, "price_minor": 2500, "color": "red"}]'$$, 'NULL']),
    ('jsonb', 'orders', ARRAY[$$'[{"customer_id": "c", "currency": "EUR", "items": [{"sku": "a", "qty": 1, "price_minor": 1}], "idempotency_key": "jump-$n-1"},
        {"customer_id": "c", "currency": "EUR", "items": [{"sku": "b", "qty": 3, "price_minor": 0}], "idempotency_key": "jump-$n-2", "metadata": {"a": 1}}]'$$]),
    ('jsonb', 'events', ARRAY[$$'[{"type": "noted", "payload": {}}]'$$, $$'[{"type": "noted", "payload": {"n": 1}, "topic": "jump", "key": "k"}, {"type": "sent", "payload": {}, "topic": "jump", "headers": {"h": 1}}]'$$]),
    ('jsonb', 'filter', ARRAY[$$'{}'$$, $$'{}'$$, 'NULL', 'NULL', 'NULL', $$'{"status": "pending"}'$$, $$'{"status": ["failed", "parked"], "reader": "jump-1"}'$$, $$'{"aggregate_type": "jump", "order": "desc"}'$$, $$'{"queue": "jump-1"}'$$]),
    ('jsonb', 'policy', ARRAY['NULL', $$'{}'$$]),
    ('jsonb', 'result', ARRAY['NULL', $$'{"provider_ref": "p"}'$$]),
    ('jsonb', 'definition', ARRAY[$$'{"steps": [{"name": "a", "kind": "sql", "function": "jump_safety.step", "compensation": {"function": "jump_safety.broken", "retry": {"attempts": 1}}},
        {"name": "b", "kind": "task", "queue": "jump-1", "task": "jump", "retry": {"attempts": 2}, "compensation": {"function": "jump_safety.step"}},
        {"name": "c", "kind": "wait", "signal": "jump"}, {"name": "d", "kind": "sql", "function": "jump_safety.fails_often", "compensation": null, "retry": {"attempts": 2}}]}'$$])
    ) v(type, arg, expressions), unnest(expressions) e;

-- Under which other names an argument is answered.
CREATE TEMP TABLE also_called (arg text, answered text);
INSERT INTO also_called VALUES ('event_id', 'id'), ('position', 'id'), ('event_id', 'last_id'), ('event_ids', 'id'), ('expected_version', 'version'), ('cursor', 'next_cursor'),
    ('ids', 'dead_letter_id'), ('ids', 'task_id'), ('task_ids', 'task_id'), ('lease_epochs', 'lease_epoch'), ('dead_letter_id', 'reject_event'), ('task_id', 'create_task'),
    ('amount_minor', 'total_minor'), ('aggregate_id', 'order_id');

-- What is a long way to go by chance alone: now and then a careful call is given something that has come so far.
CREATE TEMP TABLE ripe (function text, arg text, expression text);
INSERT INTO ripe SELECT unnest(functions), kind || '_id', format('(SELECT %1$s_id FROM oms.%2$s t WHERE %3$s ORDER BY %1$s_id DESC LIMIT 1)', kind, of, so_far) FROM (VALUES
    ('{create_shipment, ship_order}'::text[], 'order', 'orders', $$status = 'confirmed' AND pending_action IS NULL AND NOT on_hold
        AND NOT EXISTS (SELECT FROM oms.shipment s WHERE s.order_id = t.order_id)$$),
    ('{release}', 'order', 'orders', $$status = 'reserved' AND pending_action IS NULL AND NOT EXISTS (SELECT FROM oms.payment p WHERE p.order_id = t.order_id)
        AND EXISTS (SELECT FROM oms.reservation r WHERE r.order_id = t.order_id AND r.status = 'reserved')$$),
    ('{complete_order, refund_order}', 'order', 'orders', $$status = 'shipped'$$),
    ('{ship_shipment, cancel_shipment}', 'shipment', 'shipment', $$status = 'created'$$),
    ('{deliver_shipment, return_shipment}', 'shipment', 'shipment', $$status = 'shipped'$$),
    ('{capture_payment, void_payment}', 'payment', 'payment', $$status = 'authorized'$$),
    ('{refund_payment}', 'payment', 'payment', $$status IN ('captured', 'partially_refunded')$$)) r(functions, kind, of, so_far);

-- Every function, but for those of triggers: nobody can call them.
CREATE TEMP TABLE listed AS
SELECT row_number() OVER (ORDER BY p.oid::regprocedure::text)::int AS nth, p.oid, p.proname AS name, p.proretset AS many, a.audience, p.provolatile = 'v' AS mutates,
    CASE WHEN p.proname = 'check_integrity' THEN 0.02  -- reads everything
         WHEN p.proname IN ('claim_tasks', 'complete_task', 'authorize_payment', 'capture_payment', 'refund_payment', 'pay_order', 'queue_command', 'cancel_queued_command',
             'create_shipment', 'ship_shipment', 'deliver_shipment', 'cancel_shipment', 'return_shipment') THEN 1  -- a long way to go
         WHEN a.audience = 'owner' THEN 0.05 WHEN p.provolatile = 'v' THEN 0.4 ELSE 0.2 END AS weight
FROM oms.api a JOIN pg_proc p ON p.oid = to_regprocedure('oms.' || a.function) WHERE p.prorettype <> 'trigger'::regtype;
-- What it answers. A value is taken for an argument of the same name, or of one that is listed above, if the two are of one kind.
CREATE TEMP TABLE answered AS
SELECT l.nth AS function, o.name, coalesce(nullif(t.typelem, 0), t.oid) AS kind FROM listed l JOIN pg_proc p USING (oid) CROSS JOIN LATERAL (
    SELECT name, type FROM unnest(p.proargnames, p.proargmodes, p.proallargtypes) c(name, mode, type) WHERE mode IN ('o', 't')
    UNION ALL SELECT attname, atttypid FROM pg_attribute WHERE attrelid = (SELECT typrelid FROM pg_type WHERE oid = p.prorettype) AND attnum > 0
    UNION ALL SELECT p.proname, p.prorettype WHERE p.provolatile = 'v' AND p.proname IN (SELECT answered FROM also_called)) o(name, type) JOIN pg_type t ON t.oid = o.type;
CREATE TEMP TABLE argument AS
SELECT l.nth AS function, a.nth::int, a.name, t.oid::regtype AS type, a.nth > p.pronargs - p.pronargdefaults AS optional, t.typcategory = 'A' AS is_array,
    ARRAY(SELECT DISTINCT w.name FROM answered w JOIN pg_type k ON k.oid = w.kind WHERE k.typcategory = e.typcategory
        AND (w.name = a.name AND a.name ~ '(_ids?|epoch|version|cursor|bookmark)$' OR (a.name, w.name) IN (SELECT arg, answered FROM also_called)))::text[] AS sources,
    (SELECT array_agg(expression) FROM value v WHERE v.good AND v.type = t.oid AND (v.expression <> 'NULL' OR a.nth > p.pronargs - p.pronargdefaults)
        AND v.arg IS NOT DISTINCT FROM (SELECT min(o.arg) FROM value o WHERE o.good AND o.type = t.oid AND o.arg = a.name)) AS goods,
    (SELECT array_agg(expression) FROM value v WHERE NOT v.good AND v.type = t.oid) AS bads,
    (SELECT expression FROM ripe r WHERE r.function = l.name AND r.arg = a.name) AS ripe
FROM listed l JOIN pg_proc p USING (oid) CROSS JOIN LATERAL unnest(p.proargnames[:p.pronargs]) WITH ORDINALITY a(name, nth) JOIN pg_type t ON t.oid = p.proargtypes[a.nth - 1]
    JOIN pg_type e ON e.oid = coalesce(nullif(t.typelem, 0), t.oid);
SELECT test.nothing('SELECT function, name, type FROM argument WHERE goods IS NULL OR bads IS NULL', 'there are values for every argument');
-- With its arguments, and with the functions that answer what all its required ones may be taken from.
CREATE TEMP TABLE callee AS
SELECT l.*, ARRAY(SELECT a FROM argument a WHERE a.function = l.nth ORDER BY a.nth) AS arguments,
    ARRAY(SELECT g.nth FROM listed g WHERE NOT EXISTS (SELECT FROM argument a WHERE a.function = l.nth AND NOT a.optional AND a.sources <> '{}'
              AND NOT EXISTS (SELECT FROM answered w WHERE w.function = g.nth AND w.name = ANY (a.sources)))
          AND EXISTS (SELECT FROM argument a, answered w WHERE a.function = l.nth AND w.function = g.nth AND w.name = ANY (a.sources))) AS producers
FROM listed l;

-- What the latest calls of each function answered.
CREATE TEMP TABLE said (function int, slot int, answer jsonb, PRIMARY KEY (function, slot));
INSERT INTO said SELECT nth, slot FROM callee, generate_series(0, 7) slot;
CREATE TEMP TABLE outcome (n int, function int, state text, may_only_read boolean, call text, message text);
CREATE TEMP SEQUENCE call_number;

-- Writes one call: with `careful`, one that might be good.
CREATE FUNCTION pg_temp.some_call(f callee, n bigint, careful boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    a argument;
    given jsonb;
    producer int;
    place int;
    dice float8;
    source text;
    expression text;
    list text[] := '{}';
BEGIN
    FOR attempt IN 1 .. 3 LOOP
        producer := f.producers[1 + floor(random() * cardinality(f.producers))::int];
        place := floor(random() * 8);
        SELECT answer INTO given FROM said WHERE function = producer AND slot = place;
        EXIT WHEN given IS NOT NULL OR f.producers = '{}';
    END LOOP;
    FOREACH a IN ARRAY f.arguments LOOP
        dice := random();
        source := a.sources[1 + floor(random() * cardinality(a.sources))::int];
        IF careful AND a.ripe IS NOT NULL AND dice < 0.3 THEN
            expression := a.ripe;
        ELSIF given ->> source IS NOT NULL AND (dice < CASE WHEN NOT careful THEN 0.5 WHEN a.optional THEN 0.2 ELSE 1 END) THEN
            expression := CASE WHEN NOT a.is_array THEN quote_literal(given ->> source)
                               WHEN jsonb_typeof(given -> source) = 'array' THEN format('ARRAY(SELECT jsonb_array_elements_text(%L))', given -> source)
                               ELSE format('ARRAY[%L]', given ->> source) END;
        ELSIF careful OR dice < 0.8 THEN
            expression := replace(a.goods[1 + floor(random() * cardinality(a.goods))::int], '$n', n::text);
        ELSIF dice < 0.998 THEN
            expression := a.bads[1 + floor(random() * cardinality(a.bads))::int];
        ELSE
            expression := CASE a.type WHEN 'text'::regtype THEN 'repeat(''x'', 1048576)' WHEN 'jsonb'::regtype THEN 'to_jsonb(repeat(''x'', 1048576))' ELSE 'NULL' END;
        END IF;
        list := list || (expression || '::' || a.type);
    END LOOP;
    RETURN format('SELECT to_jsonb(answer) FROM (SELECT * FROM oms.%I(%s) LIMIT 1 OFFSET %s) answer',
                  f.name, array_to_string(list, ', '), CASE WHEN f.many THEN floor(random() ^ 2 * 8) ELSE 0 END);
END $$;

CREATE PROCEDURE pg_temp.call_at_random(calls int) LANGUAGE plpgsql AS $$
DECLARE
    callees callee[] := ARRAY(SELECT c FROM callee c ORDER BY nth);
    weights float8[] := ARRAY(SELECT weight FROM callee ORDER BY nth);
    pick int;
    f callee;
    called callee;
    call text;
    spoken jsonb;
    place int;
    may_only_read boolean := false;
    batch outcome[] := '{}';
BEGIN
    FOR n IN 1 .. calls LOOP
        -- A new transaction, a little later.
        IF n % 40 = 1 THEN
            IF random() < 0.2 THEN ROLLBACK; ELSE COMMIT; END IF;
            INSERT INTO outcome SELECT * FROM unnest(batch);
            batch := '{}';
            may_only_read := random() < 0.05;
            PERFORM set_config('default_transaction_read_only', may_only_read::text, false);
            PERFORM set_config('default_transaction_isolation', (ARRAY['read committed', 'repeatable read', 'serializable'])[1 + floor(random() * 3)::int], false);
            PERFORM set_config('oms.now_override', (current_setting('oms.now_override')::timestamptz + random() ^ 4 * interval '10 minutes')::text, false);
            COMMIT;
        END IF;
        LOOP
            pick := 1 + floor(random() * cardinality(callees));
            EXIT WHEN random() < weights[pick];
        END LOOP;
        f := callees[pick];
        -- Now and then exactly the call before once more.
        IF call IS NULL OR random() > 0.03 THEN
            called := f;
            call := pg_temp.some_call(f, nextval('call_number'), random() < 0.7);
        END IF;
        BEGIN
            EXECUTE call INTO spoken;
            batch := batch || (n, called.nth, '00000', may_only_read, NULL, NULL)::outcome;
            IF pg_column_size(spoken) < 4000 THEN
                place := floor(random() * 8);
                UPDATE said SET answer = spoken WHERE function = called.nth AND slot = place;
            END IF;
        EXCEPTION WHEN OTHERS THEN
            batch := batch || (n, called.nth, SQLSTATE, may_only_read, left(call, 1000), left(SQLERRM, 300))::outcome;
        END;
    END LOOP;
    COMMIT;
    INSERT INTO outcome SELECT * FROM unnest(batch);
    PERFORM set_config('default_transaction_read_only', 'off', false);
    PERFORM set_config('default_transaction_isolation', 'read committed', false);
END $$;

-- The calls, in ten parts; after each the session lets go of what it has read, and its memory is measured.
CREATE TEMP TABLE memory (part int, bytes bigint);
SELECT setseed(:seed);
SELECT unnest(ARRAY['CALL pg_temp.call_at_random(10000)', 'DO ''BEGIN PERFORM oms.detach_reader(name) FROM oms.reader; END''',
    -- But for the buffers of temporary tables, which are this test's own, and the definitions of sagas, which are kept until one changes.
    format('INSERT INTO memory SELECT %s, sum(total_bytes) FROM pg_backend_memory_contexts WHERE name <> ''LocalBufferContext'' AND ident IS DISTINCT FROM ''oms saga definitions''', part)])
FROM generate_series(1, 10) part \gexec
SELECT oms.doorbell_disarm();

SELECT test.equal(count(*), 100000::bigint, 'the calls were made') FROM outcome;
SELECT test.nothing($$SELECT c.name, o.state, o.message, o.call FROM outcome o JOIN callee c ON c.nth = o.function
    WHERE state <> '00000' AND state NOT LIKE 'OM%' AND NOT EXISTS (SELECT FROM own_error e WHERE e.state = o.state)$$, 'each was answered, or refused with an error that callers know');
SELECT test.nothing($$SELECT c.name, o.state FROM outcome o JOIN callee c ON c.nth = o.function WHERE state = '25006' AND NOT may_only_read$$, 'nothing else says that it may only read');
SELECT test.nothing($$SELECT state, message FROM outcome WHERE state LIKE 'OM%' AND state NOT IN (SELECT sqlstate FROM oms.errors())$$, 'every error of ours is documented');
SELECT test.ok(count(DISTINCT state) >= 12, 'many different errors of ours') FROM outcome WHERE state LIKE 'OM%';
SELECT test.nothing($$SELECT c.name, count(o.n) FROM callee c LEFT JOIN outcome o ON o.function = c.nth GROUP BY 1 HAVING count(o.n) < 20$$, 'no function was left out');
-- Steps of built-in sagas want a saga around them.
SELECT test.nothing($$SELECT c.name FROM callee c LEFT JOIN outcome o ON o.function = c.nth AND o.state = '00000' WHERE c.audience <> 'owner' GROUP BY 1 HAVING count(o.n) = 0$$,
    'every function has done its work');
SELECT test.nothing($$SELECT max(bytes) FILTER (WHERE part > 5) AS later, max(bytes) FILTER (WHERE part BETWEEN 3 AND 5) AS sooner FROM memory
    HAVING max(bytes) FILTER (WHERE part > 5) - max(bytes) FILTER (WHERE part BETWEEN 3 AND 5) > 262144$$, 'memory does not grow');

-- The session works on, and what all this left behind is whole. But an order that an operator forced has the goods and the money that it has; the checks
-- say so, as they should.
SELECT test.nothing($$SELECT * FROM oms.check_integrity() WHERE NOT (check_name IN ('reservation', 'order_payments', 'goods_before_money')
    AND object IN (SELECT aggregate_id FROM oms.event WHERE type = 'order.forced'))$$, 'integrity');
SELECT status FROM test.advance(test.make_order(), 'reserve');
SET client_min_messages = warning;
SELECT oms.revoke_all('jump_safety_role');
DROP ROLE jump_safety_role;
DROP SCHEMA jump_safety CASCADE;
