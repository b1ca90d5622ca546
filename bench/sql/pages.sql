-- The pages touched for each order of the sample at :size orders, behind calls that warm the session up. Prints: query, pages.
SELECT count(bench.pages(format('SELECT oms.get_order(%L)', order_id))), count(bench.pages(format('SELECT * FROM oms.order_timeline(%L)', order_id)))
  FROM (SELECT order_id FROM bench.sample WHERE size = :size LIMIT 20) warmed;
SELECT 'measured', 'get_order', bench.pages(format('SELECT oms.get_order(%L)', order_id)) FROM bench.sample WHERE size = :size;
SELECT 'measured', 'order_timeline', bench.pages(format('SELECT * FROM oms.order_timeline(%L)', order_id)) FROM bench.sample WHERE size = :size;
