-- The same command with a NOTIFY in its transaction, as outboxes often do it; run with oms.doorbell off.
\set customer random(1, 10000000)
\set key random(1, 9000000000000000000)
SELECT order_id, status, version, pg_notify('rival', '')
  FROM oms.create_order('customer-' || :customer, 'EUR', :items, 'key-' || :key);
