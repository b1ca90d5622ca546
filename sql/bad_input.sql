-- Goal: no input is too bad: it gets an OM error with detail and hint (or is legal), nothing is written, and the session works on.
-- Method: each argument of each function in turn with NULL and with every nasty value of its type; then items, one mistake at a time.
\t on
\pset format unaligned
\set SHOW_CONTEXT never

SELECT test.make_order('paid') AS paid, test.make_order() AS unpaid \gset
SELECT oms.define_saga('bad-input', '{"steps": [{"name": "ask", "kind": "wait", "signal": "answer", "deadline_ms": 3600000}]}') > 0 AS defined;
SELECT saga_id FROM oms.start_saga('bad-input', '{}', test.key()) \gset
CREATE TEMP TABLE before AS SELECT (SELECT count(*) FROM oms.orders) AS orders, (SELECT count(*) FROM oms.event) AS events, (SELECT count(*) FROM oms.idempotency_key) AS keys;

-- The arguments of every function that somebody may call, each with a value that is good for a start.
CREATE TEMP TABLE argument AS
SELECT p.oid AS function, p.proname AS name, a.nth::int, a.arg, p.proargtypes[a.nth - 1]::regtype AS type, a.nth > p.pronargs - p.pronargdefaults AS optional,
       CASE
           WHEN a.arg = 'order_id' AND p.proname = 'authorize_payment' THEN quote_literal(:'unpaid')
           WHEN a.arg IN ('order_id', 'payment_id', 'shipment_id') THEN quote_literal(:'paid')
           WHEN a.arg = 'saga_id' THEN quote_literal(:'saga_id')
           WHEN a.arg = 'definition' AND p.proname = 'start_saga' THEN quote_literal('bad-input')
           WHEN a.arg IN ('payload', 'data') THEN quote_literal('{}')
           WHEN a.arg = 'items' AND p.proname = 'create_shipment' THEN quote_literal('[{"sku": "SKU-1", "qty": 1}]')
           WHEN a.arg = 'items' THEN quote_literal('[{"sku": "a", "qty": 1, "price_minor": 2500}]')
           WHEN a.arg = 'orders' THEN quote_literal('[]')
           WHEN a.arg = 'events' THEN quote_literal('[{"type": "t", "payload": {}}]')
           WHEN a.arg = 'currency' THEN quote_literal('EUR')
           WHEN a.arg = 'command' THEN quote_literal('refund_order')
           WHEN a.arg = 'give_up_after' THEN quote_literal('1 hour')
           WHEN a.arg = 'action' THEN quote_literal('confirm')
           WHEN a.arg = 'status' THEN quote_literal('paid')
           WHEN a.arg = 'format' THEN quote_literal('dot')
           WHEN a.arg = 'expected_version' AND p.proname = 'append_events' THEN '0'
           WHEN a.arg = 'idempotency_key' THEN 'test.key()'
           WHEN a.arg = 'reader' OR a.arg = 'name' AND p.proname ~ 'reader|read_events' THEN quote_literal('bad_input')
           WHEN a.nth > p.pronargs - p.pronargdefaults THEN 'NULL'
           WHEN p.proargtypes[a.nth - 1]::regtype::text LIKE '%[]' THEN quote_literal('{}')
           WHEN p.proargtypes[a.nth - 1] = 'boolean'::regtype THEN 'true'
           WHEN p.proargtypes[a.nth - 1] = 'text'::regtype THEN quote_literal('x')
           WHEN p.proargtypes[a.nth - 1] = 'jsonb'::regtype THEN quote_literal('{}')
           WHEN p.proargtypes[a.nth - 1] IN ('int'::regtype, 'bigint'::regtype) THEN '1'
           ELSE 'NULL'
       END AS good
FROM oms.api JOIN pg_proc p ON p.oid = to_regprocedure('oms.' || function),
    LATERAL unnest(p.proargnames[:p.pronargs]) WITH ORDINALITY a(arg, nth)
WHERE audience <> 'owner';

CREATE FUNCTION pg_temp.call_of(wanted oid, bad_nth int, bad text) RETURNS text LANGUAGE sql RETURN (
    SELECT format('SELECT * FROM oms.%I(%s)', min(name), string_agg(CASE nth WHEN bad_nth THEN bad ELSE good END || '::' || type, ', ' ORDER BY nth))
    FROM argument WHERE function = wanted);

SELECT oms.create_reader('bad_input');
CREATE TEMP TABLE nasty (type regtype, value text, what text);
INSERT INTO nasty SELECT t, 'NULL', 'NULL' FROM (SELECT DISTINCT type AS t FROM argument) types;
INSERT INTO nasty VALUES
    ('text', $$''$$, 'empty'), ('text', $$' '$$, 'blank'), ('text', $$repeat('x', 256)$$, '256 bytes'), ('text', $$repeat('x', 10000)$$, '10,000 bytes'),
    ('text', $$repeat('x', 1048576)$$, '1 MB'), ('text', $$repeat('é', 524288)$$, '1 MB in half as many characters'), ('text', $$E'a\nb\tc\u0001'$$, 'control characters'),
    ('text', $$'''; DROP TABLE oms.orders; --'$$, 'SQL'), ('text', $$'%s%n%d %1$s'$$, 'format directives'), ('text', $$U&'\+01F4A9\FEFF\202E'$$, 'odd characters'),
    ('text', $$'<script>"\\'$$, 'markup'),
    ('uuid', $$'00000000-0000-0000-0000-000000000000'$$, 'nil'), ('uuid', $$'ffffffff-ffff-ffff-ffff-ffffffffffff'$$, 'max'),
    ('uuid', $$gen_random_uuid()$$, 'another kind of id'), ('uuid', $$'ffffffff-ffff-7fff-bfff-ffffffffffff'$$, 'the end of time'),
    ('uuid', $$'00000000-0000-7000-8000-000000000000'$$, 'the beginning of time'),
    ('int', '0', '0'), ('int', '(-1)', '-1'), ('int', '2147483647', 'max'), ('int', '(-2147483648)', 'min'),
    ('bigint', '0', '0'), ('bigint', '(-1)', '-1'), ('bigint', '9223372036854775807', 'max'), ('bigint', '(-9223372036854775808)', 'min'),
    ('text[]', $$'{}'$$, 'empty'), ('text[]', $$'{NULL}'$$, 'of NULL'), ('text[]', $$'{"", ""}'$$, 'of nothing twice'), ('text[]', $$'{{a, b}, {c, d}}'$$, 'of two dimensions'),
    ('text[]', $$ARRAY[repeat('x', 1048576)]$$, 'of 1 MB'), ('text[]', $$array_fill('x'::text, ARRAY[100000])$$, 'of 100,000'), ('text[]', $$'[5:6]={a, b}'$$, 'from 5 on'),
    ('int[]', $$'{}'$$, 'empty'), ('int[]', $$'{NULL}'$$, 'of NULL'), ('int[]', $$'{{1}}'$$, 'of two dimensions'), ('int[]', $$'{-1}'$$, 'of -1'), ('int[]', $$array_fill(1, ARRAY[100000])$$, 'of 100,000'),
    ('bigint[]', $$'{}'$$, 'empty'), ('bigint[]', $$'{NULL, 1}'$$, 'of NULL'), ('bigint[]', $$'{{1}}'$$, 'of two dimensions'), ('bigint[]', $$'{-1, 9223372036854775807}'$$, 'of extremes'),
    ('bigint[]', $$array_fill(1::bigint, ARRAY[100000])$$, 'of 100,000'),
    ('timestamptz[]', $$'{}'$$, 'empty'), ('timestamptz[]', $$'{NULL}'$$, 'of NULL'), ('timestamptz[]', $$'{infinity, -infinity}'$$, 'of eternity'), ('timestamptz[]', $$'{{now}}'$$, 'of two dimensions'),
    ('boolean', 'true', 'true'), ('boolean', 'false', 'false'),
    ('jsonb', $$'null'$$, 'null'), ('jsonb', $$'true'$$, 'true'), ('jsonb', $$'1e1000'$$, 'a huge number'), ('jsonb', $$'-0.1'$$, 'a fraction'), ('jsonb', $$'"x"'$$, 'a string'),
    ('jsonb', $$'[]'$$, 'an empty array'), ('jsonb', $$'{}'$$, 'an empty object'), ('jsonb', $$'[[]]'$$, 'an array of arrays'), ('jsonb', $$'[null]'$$, 'an array of null'),
    ('jsonb', $$'[{}]'$$, 'an array of empty objects'), ('jsonb', $$'{"": {"": []}}'$$, 'empty names'), ('jsonb', $$to_jsonb(repeat('x', 1048576))$$, 'a string of 1 MB'),
    ('jsonb', $$jsonb_build_array(repeat('x', 1048576))$$, 'an array of 1 MB'), ('jsonb', $$jsonb_build_object(repeat('x', 1048576), 1)$$, 'a name of 1 MB'),
    ('jsonb', $$(repeat('[', 3000) || repeat(']', 3000))$$, '3,000 arrays in each other'),
    ('jsonb', $$(repeat('{"a":', 2000) || '1' || repeat('}', 2000))$$, '2,000 objects in each other');
SELECT test.nothing($$SELECT name, arg, type FROM argument WHERE type <> ALL (SELECT type FROM nasty)$$, 'every type has nasty values');

-- The bell that some of the calls take is given back, and so are the readers that some of them make.
CREATE TEMP TABLE tried AS
SELECT a.name, a.arg, a.optional, n.what, o.* FROM argument a JOIN nasty n USING (type), LATERAL (SELECT pg_temp.call_of(a.function, a.nth, n.value) AS call) c,
    LATERAL test.outcome(call) o;
SELECT oms.doorbell_disarm();
SELECT count(oms.drop_reader(name)) > 0 AS dropped FROM oms.reader;
SELECT test.ok(count(*) > 500, 'there were many calls') FROM tried;
SELECT test.nothing($$SELECT name, arg, what, state, left(message, 100) FROM tried WHERE state <> '00000' AND state NOT LIKE 'OM%'$$, 'each call is legal or gets an OM error');
SELECT test.nothing($$SELECT name, arg, what, state, left(message, 100) FROM tried WHERE state LIKE 'OM%' AND (message !~ '^[a-z0-9"]' OR message ~ '[.]$' OR detail !~ '[.]$' OR hint !~ '[.]$')$$,
    'each error names the thing, and has a detail and a hint');
SELECT test.nothing($$SELECT name, arg, what, length(message), length(detail) FROM tried WHERE length(message) > 400 OR length(detail) > 400$$, 'a megabyte does not come back in the message');
-- NULL where a value is needed is an error that names the argument.
SELECT test.nothing($$SELECT name, arg, state, message FROM tried WHERE what = 'NULL' AND arg <> 'idempotency_key' AND NOT optional
    AND name IN (SELECT name FROM argument WHERE arg IN ('order_id', 'items', 'events'))
    AND NOT (name = 'append_events' AND arg = 'expected_version') AND (state <> 'OM001' OR message NOT LIKE '%' || arg || '%')$$, 'NULL for what is required');
SELECT test.nothing($$SELECT name, arg, state, message FROM tried WHERE what = 'NULL' AND arg = 'idempotency_key' AND name <> 'append_events' AND state <> 'OM007'$$, 'NULL as a key');
SELECT test.nothing($$SELECT name, arg, message FROM tried WHERE what = 'NULL' AND optional AND state = 'OM001' 
    AND name IN (SELECT name FROM argument WHERE arg IN ('order_id', 'items', 'events', 'cursor'))$$,
    'NULL for what may be left out');
-- All NULL.
SELECT test.nothing($$SELECT name, (o).* FROM (SELECT name, test.outcome(format('SELECT * FROM oms.%I(%s)', name, string_agg('NULL::' || type, ', ' ORDER BY nth))) AS o
    FROM argument GROUP BY function, name OFFSET 0) t WHERE (o).state <> '00000' AND (o).state NOT LIKE 'OM%'$$, 'all arguments NULL');

-- Items, one mistake at a time: the message names the item and the member.
SELECT o.state, o.message, o.detail FROM unnest(ARRAY[
    '{"qty": 1, "price_minor": 1}', '{"sku": "a", "price_minor": 1}', '{"sku": "a", "qty": 1}',
    '{"sku": null, "qty": 1, "price_minor": 1}', '{"sku": 1, "qty": 1, "price_minor": 1}', '{"sku": ["a"], "qty": 1, "price_minor": 1}', '{"sku": "", "qty": 1, "price_minor": 1}',
    '{"sku": "a", "qty": null, "price_minor": 1}', '{"sku": "a", "qty": "1", "price_minor": 1}', '{"sku": "a", "qty": true, "price_minor": 1}', '{"sku": "a", "qty": {}, "price_minor": 1}',
    '{"sku": "a", "qty": 0, "price_minor": 1}', '{"sku": "a", "qty": -1, "price_minor": 1}', '{"sku": "a", "qty": 1.5, "price_minor": 1}', '{"sku": "a", "qty": 1e-20, "price_minor": 1}',
    '{"sku": "a", "qty": 9223372036854775808, "price_minor": 0}', '{"sku": "a", "qty": 1e400, "price_minor": 0}',
    '{"sku": "a", "qty": 1, "price_minor": null}', '{"sku": "a", "qty": 1, "price_minor": "1"}', '{"sku": "a", "qty": 1, "price_minor": -1}', '{"sku": "a", "qty": 1, "price_minor": 0.01}',
    '{"sku": "a", "qty": 1, "price_minor": 9223372036854775808}', '{"sku": "a", "qty": 1, "price_minor": -9223372036854775809}',
    '{"sku": "a", "qty": 3037000500, "price_minor": 3037000500}', '{"sku": "a", "qty": 1, "price_minor": 9223372036854775807}',
    '{"sku": "a", "qty": 1, "price_minor": 1, "currency": "USD"}', '{"sku": "a", "qty": 1, "price_minor": 1, "currency": null}', '{"sku": "a", "qty": 1, "price_minor": 1, "currency": 978}',
    'null', '1', '"a"', '[]', '{}']) WITH ORDINALITY bad(item, nth),
    LATERAL test.outcome(format('SELECT oms.create_order(''c'', ''EUR'', %L, ''bad'')', '[{"sku": "good", "qty": 1, "price_minor": 1}, ' || item || ']')) o ORDER BY nth;
SELECT o.state, o.message, o.detail, o.hint FROM unnest(ARRAY[0, 100001]) n, LATERAL test.outcome(format($$SELECT oms.create_order('c', 'EUR',
    (SELECT coalesce(jsonb_agg('{"sku": "a", "qty": 1, "price_minor": 1}'::jsonb), '[]') FROM generate_series(1, %s)), 'bad')$$, n)) o;
SELECT test.fails(format('SELECT oms.create_order(''c'', %L, ''[{"sku": "a", "qty": 1, "price_minor": 1}]'', ''bad'')', currency), 'OM001', 'currency ' || currency)
FROM unnest('{"", eur, EURO, EU, XXX, XAU, ZZZ, "EU ", "€", 978}'::text[]) currency;
SELECT test.fails(format($$SELECT oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'bad', metadata => %s)$$, metadata), 'OM001', 'metadata of 1 MB')
FROM unnest(ARRAY[$$to_jsonb(repeat('x', 1048576))$$, $$jsonb_build_object('a', (SELECT jsonb_agg(i) FROM generate_series(1, 100000) i))$$]) metadata;

-- Events of streams.
SELECT o.state, o.message, o.detail FROM unnest(ARRAY['[]', '{}', 'null', '[1]', '[{}]', '[{"type": "t"}]', '[{"payload": {}}]', '[{"type": "", "payload": {}}]', '[{"type": 1, "payload": {}}]',
    '[{"type": "t", "payload": []}]', '[{"type": "t", "payload": null}]', '[{"type": "t", "payload": {}, "headers": 1}]', '[{"type": "t", "payload": {}, "topic": "no topic"}]',
    '[{"type": "t", "payload": {}, "topic": ""}]', '[{"type": "t", "payload": {}, "key": {}}]', '[{"type": "t", "payload": {}, "seq": 1}]', '[{"type": "t", "payload": {}}, 2]']) WITH ORDINALITY bad(events, nth),
    LATERAL test.outcome(format('SELECT oms.append_events(''bad'', ''b'', 0, %L)', events)) o ORDER BY nth;
SELECT test.fails($$SELECT oms.append_events('bad', 'b', 0, (SELECT jsonb_agg('{"type": "t", "payload": {}}'::jsonb) FROM generate_series(1, 10001)))$$, 'OM001', '10,001 events');
SELECT test.fails(format($$SELECT oms.append_events('bad', 'b', 0, jsonb_build_array(jsonb_build_object('type', 't', 'payload', '{}'::jsonb) || jsonb_build_object(%L, repeat('x', %s))))$$, member, bytes),
    'OM001', member || ' of ' || bytes || ' bytes') FROM (VALUES ('type', 256), ('topic', 250), ('key', 256)) v(member, bytes);
SELECT test.fails(format('SELECT oms.append_events(%s, %s, 0, ''[{"type": "t", "payload": {}}]'')', type, id), 'OM001', what) FROM (VALUES
    ($$''$$, $$'b'$$, 'no type'), ($$'bad'$$, $$''$$, 'no id'), ($$repeat('x', 256)$$, $$'b'$$, 'a type of 256 bytes'), ($$'bad'$$, $$repeat('x', 256)$$, 'an id of 256 bytes')) v(type, id, what);

-- Bytes that are no text do not even reach a function.
SELECT test.fails($$SELECT oms.create_order(convert_from('\xff', 'UTF8'), 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'bad')$$, '22021', 'bytes that are not UTF-8');

-- Nothing of all this left a trace beside the calls that were legal; and the session works on.
SELECT test.equal(count(*), 0::bigint, 'no key of a failed call is left') FROM oms.idempotency_key WHERE key = 'bad';
SELECT test.equal(count(*), 0::bigint, 'no stream of a failed call is left') FROM oms.stream WHERE aggregate_type = 'bad' AND aggregate_id = 'b';
SELECT test.ok((SELECT count(*) FROM oms.orders) - orders <= (SELECT count(*) FROM tried WHERE state = '00000'), 'an order for no more than each legal call') FROM before;
SELECT status FROM oms.advance_order(test.make_order(), 'reserve', test.key());
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');

-- In a database without an encoding every byte is text: it is kept as it is, and cut without regard to characters in a message.
SELECT current_database() AS here \gset
CREATE DATABASE oms_regress_bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0;
\c oms_regress_bytes
\t on
CREATE EXTENSION oms;
SELECT customer_id::bytea FROM oms.create_order(E'\xff\xfe\xe2\x82', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', E'\x80', E'\xf0');
SELECT replayed, customer_id::bytea FROM oms.create_order(E'\xff\xfe\xe2\x82', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', E'\x80', E'\xf0');
SELECT (oms.get_order(order_id) ->> 'customer_id')::bytea, next_cursor = order_id::text AS cursor FROM oms.list_orders(jsonb_build_object('customer_id', E'\xff\xfe\xe2\x82'));
DO $$
BEGIN
    PERFORM oms.create_order('c', repeat(E'\xe2\x82', 1000), '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'k');
EXCEPTION WHEN SQLSTATE 'OM001' THEN
    RAISE NOTICE 'refused in % words', CASE WHEN octet_length(SQLERRM) < 400 THEN 'few' ELSE 'many' END;
END $$;
SELECT * FROM oms.check_integrity();
\c :here
DROP DATABASE oms_regress_bytes;
