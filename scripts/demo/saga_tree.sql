-- The steps of the built-in saga with what they do and what undoes them, as indented text. oms.saga_graph draws the same for a browser.
WITH RECURSIVE tree AS (
    SELECT ARRAY[n] AS place, step FROM oms.saga_definition, jsonb_array_elements(definition -> 'steps') WITH ORDINALITY s(step, n) WHERE name = 'order_fulfilment'
    UNION ALL
    SELECT place || n, child FROM tree, jsonb_array_elements(step -> 'steps') WITH ORDINALITY c(child, n))
SELECT rtrim(format('  %-24s %-34s %s', repeat('  ', cardinality(place) - 1) || (step ->> 'name'),
    CASE step ->> 'kind' WHEN 'conditional' THEN 'if ' || (step ->> 'when') WHEN 'parallel' THEN 'all at once' WHEN 'timer' THEN 'a timer'
        WHEN 'sql' THEN 'in the database' ELSE 'task ' || coalesce(step ->> 'task', 'payment.' || (step ->> 'name')) END,
    'undone by ' || coalesce(step -> 'compensation' ->> 'function', step -> 'compensation' ->> 'begin', step -> 'compensation' ->> 'task')))
FROM tree ORDER BY place;
