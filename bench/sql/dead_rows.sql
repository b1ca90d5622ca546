-- Dead rows, counted row by row, and the size of the indexes in kB: of the tables that hold events, and of the readers' positions.
CREATE EXTENSION IF NOT EXISTS pgstattuple;
SELECT 'measured', sum(dead_tuple_count) FILTER (WHERE is_log), sum(dead_tuple_count) FILTER (WHERE NOT is_log),
       sum(index_size) FILTER (WHERE is_log)::bigint / 1024, sum(index_size) FILTER (WHERE NOT is_log)::bigint / 1024
  FROM (SELECT relname <> 'reader_position' AS is_log, (pgstattuple(c.oid)).dead_tuple_count, pg_indexes_size(c.oid) AS index_size
          FROM pg_class c
         WHERE c.relkind = 'r' AND (c.oid IN (SELECT relid FROM pg_partition_tree('oms.event') WHERE isleaf)
                                    OR c.oid IN (SELECT relid FROM pg_partition_tree('oms.receipt') WHERE isleaf)
                                    OR c.oid IN ('oms.stream'::regclass, 'oms.log_life'::regclass, 'oms.reader'::regclass,
                                                 'oms.dead_letter'::regclass, 'oms.reader_position'::regclass))) tables;
