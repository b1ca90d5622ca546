-- What the two consumers beside this file need, made once by the owner:
--     psql -v consumer=ROLE -f order_board.sql
-- The table holds nothing that the log does not tell: the last status of each order, and how often it has changed. An event that was taken
-- twice, or not at all, would show in `changes`.
CREATE TABLE order_board (
    order_id uuid PRIMARY KEY,
    status text NOT NULL,
    changes integer NOT NULL
);
GRANT SELECT, INSERT, UPDATE ON order_board TO :"consumer";
SELECT oms.grant_worker(:'consumer');
SELECT oms.create_reader('order_board', topics => '{oms.order.events}', start_at => 'beginning');
