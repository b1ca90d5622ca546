// The last include of every file outside src/pg/: from here on the raw server API is a compile error.
//
// Only functions are poisoned (poisoning a macro merely warns); macros such as ereport and PG_TRY are caught by the lint.
#pragma once

#pragma GCC poison SPI_connect SPI_finish SPI_prepare SPI_execute SPI_execute_plan SPI_keepplan SPI_exec
#pragma GCC poison table_open table_close relation_open relation_close index_open index_close try_relation_open
#pragma GCC poison heap_insert heap_update heap_delete heap_form_tuple heap_modify_tuple index_insert heap_multi_insert
#pragma GCC poison index_beginscan index_getnext_slot table_tuple_lock table_tuple_update table_tuple_insert
#pragma GCC poison LockAcquire LockRelease BeginInternalSubTransaction RollbackAndReleaseCurrentSubTransaction
#pragma GCC poison SetUserIdAndSecContext NewGUCNestLevel set_config_option
#pragma GCC poison MemoryContextSwitchTo AllocSetContextCreateInternal errstart errfinish
