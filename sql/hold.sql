-- Goal: a hold is a flag with a reason that blocks reserve, pay and ship, in every state that is not final, and leaves no other trace.
-- Method: holds in each state, on held orders, with replays; the matrix of what a hold blocks is in transitions.
\t on
\pset format unaligned
\set SHOW_CONTEXT never
SET timezone = 'UTC';
SET oms.now_override = '2026-03-01 10:00:00+00';

SELECT test.make_order('reserved') AS a \gset
SET oms.now_override = '2026-03-01 10:00:01+00';
SELECT status, version, on_hold, updated_at, replayed FROM oms.hold_order(:'a', 'address unclear', 'hold-1');
SELECT on_hold, hold_reason, status, version FROM oms.orders WHERE order_id = :'a';
SELECT message, detail, hint FROM (SELECT replace(message, :'a', 'ORDER') AS message, detail, hint FROM test.outcome(format($$SELECT test.advance(%L, 'pay')$$, :'a'))) o;
SELECT on_hold, version, replayed FROM oms.hold_order(:'a', 'address unclear', 'hold-1');
-- Held again: the new reason counts.
SELECT on_hold, version FROM oms.hold_order(:'a', 'customer in hospital', 'hold-2');
SELECT hold_reason FROM oms.orders WHERE order_id = :'a';
SELECT on_hold, version FROM oms.release_hold(:'a', 'release-1', reason => 'he is well');
SELECT on_hold, hold_reason IS NULL AS no_reason, status FROM oms.orders WHERE order_id = :'a';
SELECT on_hold, version, replayed FROM oms.release_hold(:'a', 'release-1', reason => 'he is well');
SELECT status FROM test.advance(:'a', 'pay');
SELECT seq, type, prev_status, status, reason FROM oms.order_timeline(:'a') ORDER BY seq;

-- In every state that is not final.
SELECT wanted, h.on_hold, h.status = wanted AS same
FROM (SELECT wanted, test.make_order(wanted) AS id FROM unnest('{pending, reserved, paid, confirmed, shipped, completed}'::text[]) wanted) made,
    LATERAL oms.hold_order(id, 'x', test.key()) h;
SELECT test.fails(format($$SELECT oms.hold_order(%L, 'x', test.key())$$, test.make_order('canceled')), 'OM003', 'a canceled order cannot be held');
SELECT test.fails(format($$SELECT oms.hold_order(%L, 'x', test.key())$$, test.make_order('refunded')), 'OM003', 'a refunded order cannot be held');
SELECT test.fails(format($$SELECT oms.release_hold(%L, test.key())$$, :'a'), 'OM003', 'what is not held cannot be released');

-- A held order can be canceled; what is final is not on hold.
SELECT test.make_order('paid') AS b \gset
SELECT on_hold FROM oms.hold_order(:'b', 'fraud', test.key());
SELECT status, on_hold, refunded_minor FROM oms.cancel_order(:'b', 'fraud', test.key());

-- Versions, reasons and orders that are not there.
SELECT test.make_order() AS c \gset
SELECT test.fails(format($$SELECT oms.hold_order(%L, 'x', test.key(), 7)$$, :'c'), 'OM006', 'hold at another version');
SELECT version FROM oms.hold_order(:'c', 'x', test.key(), 0);
SELECT test.fails(format($$SELECT oms.release_hold(%L, test.key(), 0)$$, :'c'), 'OM006', 'release at another version');
SELECT version FROM oms.release_hold(:'c', test.key(), 1);
SELECT test.fails(format($$SELECT oms.hold_order(%L, '', test.key())$$, :'c'), 'OM001', 'a hold without a reason');
SELECT test.fails(format($$SELECT oms.hold_order(%L, NULL, test.key())$$, :'c'), 'OM001', 'a hold with NULL as its reason');
SELECT test.fails(format($$SELECT oms.hold_order(%L, repeat('x', 2001), test.key())$$, :'c'), 'OM001', 'a reason of 2,001 bytes');
SELECT length(hold_reason) FROM oms.hold_order(:'c', repeat('x', 2000), test.key()) h JOIN oms.orders o USING (order_id);
SELECT test.fails($$SELECT oms.hold_order('00000000-0000-7000-8000-000000000000', 'x', test.key())$$, 'OM002', 'an order that does not exist');
SELECT test.nothing('SELECT * FROM oms.check_integrity()', 'integrity');
