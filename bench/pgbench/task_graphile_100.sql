SELECT coalesce(array_agg(j), '{}')::text AS t FROM rival_task.graphile_fetch_100('worker', '{1}') j \gset
SELECT rival_task.graphile_complete_100(:t);
