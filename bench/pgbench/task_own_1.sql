UPDATE rival_task.task SET status = 'leased', attempt = attempt + 1, locked_until = now() + interval '30 seconds' WHERE id = (SELECT id FROM rival_task.task WHERE queue = 'q' AND status = 'ready' ORDER BY priority, id LIMIT 1 FOR UPDATE SKIP LOCKED) RETURNING id AS t, payload::text AS p \gset
UPDATE rival_task.task SET status = 'done', locked_until = NULL WHERE id = :t AND status = 'leased';
