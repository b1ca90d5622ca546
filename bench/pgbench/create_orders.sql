-- A thousand orders in one command; the text of the request lies ready, the server parses it.
SELECT count(*) FROM bench.batch b CROSS JOIN LATERAL oms.create_orders(b.orders::jsonb)
 WHERE b.turn = (SELECT nextval('bench.next_turn'));
