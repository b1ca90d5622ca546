SELECT task_id AS t, lease_epoch AS e FROM oms.claim_tasks('q', 1) \gset
SELECT oms.complete_task(:t, :e);
