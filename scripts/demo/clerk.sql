-- The clerk's round: what is confirmed goes out, what has arrived is completed. Of ten customers one has second thoughts, and one got something broken.
-- Every call is a transaction of its own, and repeated without harm: its key says for which order it is.
SELECT format('SELECT 1 FROM oms.complete_order(%L, ''complete-%s'')', order_id, order_id)
FROM oms.list_orders('{"status": "shipped"}', "limit" => 200) \gexec
CREATE TEMP TABLE round AS
    SELECT order_id, mod(abs(oms.customer_hash(order_id::text)::bigint), 100) AS dice FROM oms.list_orders('{"status": "confirmed"}', "limit" => 200)
    WHERE pending_action IS NULL;
SELECT format('SELECT 1 FROM oms.cancel_order(%L, ''second thoughts'', ''cancel-%s'')', order_id, order_id) FROM round WHERE dice < 10 \gexec
SELECT format('SELECT 1 FROM oms.refund_order(%L, 500, ''one piece was broken'', ''refund-%s'')', order_id, order_id) FROM round WHERE dice BETWEEN 10 AND 19 \gexec
SELECT format('SELECT 1 FROM oms.ship_order(%L, ''ship-%s'', payload => ''{"carrier": "DHL"}'')', order_id, order_id) FROM round WHERE dice >= 10 \gexec
