-- The application that does it by itself: look the key up, insert order, items, event and key, commit. Six round trips: BEGIN travels with the
-- first statement, as good drivers do it.
\set customer random(1, 10000000)
\set key random(1, 9000000000000000000)
\startpipeline
BEGIN;
SELECT fingerprint, answer FROM rival.idempotency_key WHERE key = 'key-' || :key;
\endpipeline
INSERT INTO rival.orders
SELECT rival.new_order_id(at), 'customer-' || :customer, 'pending', false, NULL, NULL, 'EUR', 22500, 0, 0, 0, NULL, NULL, at, at, 1, id, id
  FROM date_trunc('milliseconds', clock_timestamp()) at, nextval('rival.event_id_seq') id
RETURNING order_id, created_at, first_event_id \gset
INSERT INTO rival.order_item
VALUES (:order_id, :created_at, 1, 'SKU-001', 2, 10000, NULL), (:order_id, :created_at, 2, 'SKU-002', 1, 2500, NULL);
INSERT INTO rival.event
VALUES (:first_event_id, pg_current_xact_id(), 'order', :order_id, 1, 'order.created', 'oms.order.events', :order_id,
        ('{"order_id": "' || :order_id || '", "prev_status": null, "status": "pending", "reason": null, "version": 0, "occurred_at": "'
         || :created_at || '", "customer_id": "customer-' || :customer || '", "currency": "EUR", "total_minor": 22500, "items": '
         || :items || '}')::jsonb,
        '{"schema_version": 1}', :created_at);
INSERT INTO rival.idempotency_key
VALUES (hashtextextended('key-' || :key, 0), :created_at, md5('create_order' || :customer || 'EUR' || :items)::uuid, 'create_order',
        'key-' || :key, convert_to('(' || :order_id || ',pending,0,customer-' || :customer || ',EUR,22500,0,0,f,,"' || :created_at || '")', 'UTF8'));
COMMIT;
