-- Goal: the settings have the range, the default and the audience they are documented with, and a wrong value is refused with a reason.
-- Method: pg_settings, values inside and outside the range, and what the clock of the tests does to orders, events and the audit.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SELECT oms.version() IS NOT NULL;

SELECT name, setting, unit, context, vartype, min_val, max_val, boot_val FROM pg_settings
WHERE name IN ('oms.correlation_id', 'oms.causation_id', 'oms.traceparent', 'oms.actor', 'oms.idempotency_wait', 'oms.idempotency_ttl', 'oms.doorbell', 'oms.now_override') ORDER BY name;
SELECT test.nothing($$SELECT name FROM pg_settings WHERE name LIKE 'oms.%' AND (short_desc IS NULL OR short_desc !~ '[.]$')$$, 'every setting says what it is for');
SELECT test.nothing($$SELECT name FROM pg_settings WHERE name LIKE 'oms.%' AND context NOT IN ('user', 'superuser')$$, 'every setting can be changed without a restart');
SELECT test.fails('SET oms.no_such_setting = 1', '42602', 'a name that is not ours') WHERE current_setting('server_version_num')::int >= 150000;

-- Headers have 512 bytes at most.
SELECT test.fails(format('SET oms.%s = %L', name, repeat('x', 513)), '22023', name || ' of 513 bytes') FROM unnest('{correlation_id, causation_id, traceparent, actor}'::text[]) name;
SELECT test.fails(format('SET oms.actor = %L', repeat('é', 257)), '22023', 'an actor of 257 characters and 514 bytes');
SET oms.actor = 'x';
SELECT length(set_config('oms.actor', repeat('x', 512), false));
SELECT test.make_order() AS a \gset
SELECT test.equal(length(actor), 512, 'it is kept whole') FROM oms.order_timeline(:'a');
RESET oms.actor;

-- The TTL is a time of at least a minute.
SELECT test.fails('SET oms.idempotency_ttl = ' || v, '22023', 'a TTL of ' || v) FROM unnest('{59, 0, -1, 2147484}'::text[]) v;
SET oms.idempotency_ttl = '1min';
SHOW oms.idempotency_ttl;
SET oms.idempotency_ttl = '7d';
SHOW oms.idempotency_ttl;
RESET oms.idempotency_ttl;

-- The clock of the tests.
SELECT test.fails(format('SET oms.now_override = %L', v), '22023', 'a clock at ' || v) FROM unnest(ARRAY['soon', 'infinity', '-infinity', 'epoch', '2026-02-30', '25:00', repeat('x', 1000), '999999-01-01', ' ']) v;
SET oms.now_override = '2026-03-01T12:00:00.000001+01:00';
SELECT test.make_order() AS b \gset
SELECT oms.get_order(:'b') ->> 'created_at';
SET oms.now_override = '2026-03-01 12:00:00 Europe/Berlin';
SELECT test.make_order() AS c \gset
SELECT created_at, updated_at FROM oms.orders WHERE order_id = :'c';
-- Before 1970 and behind the year 10889 an id cannot tell the time: it keeps the nearest that it can, and the order stays findable.
SET oms.now_override = '1969-12-31 23:59:59+00';
SELECT test.make_order('paid') AS d \gset
SELECT created_at FROM oms.orders WHERE order_id = :'d';
SET oms.now_override = '12000-01-01 00:00:00+00';
SELECT test.make_order('paid') AS e \gset
SELECT created_at FROM oms.orders WHERE order_id = :'e';
SELECT oms.get_order(:'e') ->> 'status';
-- An empty text is the real clock; so is the end of a transaction that set it locally.
SET oms.now_override = '';
BEGIN;
SET LOCAL oms.now_override = '2001-01-01 00:00:00+00';
SELECT test.make_order() AS f \gset
COMMIT;
SELECT test.make_order() AS g \gset
SELECT test.ok((SELECT created_at FROM oms.orders WHERE order_id = :'f') = '2001-01-01 00:00:00+00', 'the clock stood still inside the transaction');
SELECT test.ok((SELECT created_at FROM oms.orders WHERE order_id = :'g') BETWEEN clock_timestamp() - interval '1 hour' AND clock_timestamp(), 'and goes again behind it');

-- Settings of a function hold for what the function calls.
CREATE FUNCTION pg_temp.yesterday() RETURNS uuid LANGUAGE sql SET oms.now_override = '2020-02-29 00:00:00+00' AS 'SELECT test.make_order()';
SELECT pg_temp.yesterday() AS y \gset
SELECT created_at FROM oms.orders WHERE order_id = :'y';
SELECT test.ok(current_setting('oms.now_override') = '', 'and not behind it');

-- What was set before the library came into the session is checked when it comes: the value, and the role that set it.
SET client_min_messages = error;
DROP ROLE IF EXISTS oms_test_settings;
CREATE ROLE oms_test_settings;
SELECT oms.grant_application('oms_test_settings');
\c -
\t on
SET client_min_messages = error; -- the warning reads otherwise in later servers
SET oms.idempotency_ttl = '5s';
SET oms.actor = 'early';
SELECT oms.version() IS NOT NULL;
SHOW oms.idempotency_ttl;
RESET client_min_messages;
SHOW oms.actor;
\c -
SET ROLE oms_test_settings;
SET oms.now_override = '2001-01-01 00:00:00+00';
SELECT created_at > now() - interval '1 hour' AS now FROM oms.create_order('c', 'EUR', '[{"sku": "a", "qty": 1, "price_minor": 1}]', 'settings-1');
RESET ROLE;
SET client_min_messages = error;
SELECT oms.revoke_all('oms_test_settings');
DROP ROLE oms_test_settings;
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
