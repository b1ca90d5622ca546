SELECT max(run_id::text) AS t FROM absurd.claim_task('q', 'w', 30, 1) \gset
SELECT count(*) FROM (SELECT absurd.complete_run('q', r, '{}') FROM (SELECT nullif(:t, '')::uuid AS r) s WHERE r IS NOT NULL OFFSET 0) s;
