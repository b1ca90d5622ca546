-- Orders :first to :last.
\if :client
SELECT format('SELECT order_id, version FROM oms.create_order(%L, %L, %L, %L)', bench.customer(n), 'EUR', bench.items(), 'one-by-one-' || n)
  FROM generate_series(:first, :last) n \gexec
\else
CALL bench.create_one_by_one(:first, :last);
\endif
