SELECT coalesce(array_agg(task_id), '{}')::text AS t, coalesce(array_agg(lease_epoch), '{}')::text AS e FROM oms.claim_tasks('q', 100) \gset
SELECT count(*) FROM oms.complete_tasks(:t, :e);
