SELECT coalesce(max(j), 0) AS t FROM rival_task.graphile_fetch_1('worker', '{1}') j \gset
SELECT rival_task.graphile_complete_1(:t);
