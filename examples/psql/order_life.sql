-- One order from creation to completion. Each call could be a transaction of its own.

SELECT order_id, status, total_minor
FROM oms.create_order(customer_id => 'customer-7', currency => 'EUR',
                      items => '[{"sku": "TEA-100", "qty": 2, "price_minor": 450}]',
                      idempotency_key => 'cart-1001') \gset

SELECT oms.advance_order(:'order_id', action => 'reserve', idempotency_key => 'cart-1001/reserve') \g /dev/null
SELECT oms.advance_order(:'order_id', action => 'pay', idempotency_key => 'cart-1001/pay') \g /dev/null
SELECT oms.advance_order(:'order_id', action => 'confirm', idempotency_key => 'cart-1001/confirm') \g /dev/null
SELECT oms.ship_order(:'order_id', idempotency_key => 'cart-1001/ship', payload => '{"parcel": "JX 77 1"}') \g /dev/null
SELECT oms.complete_order(:'order_id', idempotency_key => 'cart-1001/complete') \g /dev/null

SELECT seq, type, prev_status, status, payload -> 'data' AS data FROM oms.order_timeline(:'order_id');
