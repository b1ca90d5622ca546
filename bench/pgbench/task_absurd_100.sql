SELECT coalesce(array_agg(run_id), '{}')::text AS t FROM absurd.claim_task('q', 'w', 30, 100) \gset
SELECT count(*) FROM (SELECT absurd.complete_run('q', r, '{}') FROM unnest(:t::uuid[]) r OFFSET 0) s;
