-- One command, as an application calls it: five texts, the items as JSON.
\set customer random(1, 10000000)
\set key random(1, 9000000000000000000)
SELECT order_id, status, version FROM oms.create_order('customer-' || :customer, 'EUR', :items, 'key-' || :key);
