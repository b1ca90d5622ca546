// The one place that includes PostgreSQL's headers, and the one that knows how they differ between server versions 14 to 18.
//
// Warnings that the server's headers raise in C++ are switched off around them and nowhere else: our own code keeps them on.
// Nothing outside src/pg/ calls what is declared here; poison.hpp, included last by every other room, enforces it.
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#pragma GCC diagnostic ignored "-Wsign-compare"
#pragma GCC diagnostic ignored "-Wsign-conversion"
#pragma GCC diagnostic ignored "-Wconversion"
#pragma GCC diagnostic ignored "-Wshadow"
#pragma GCC diagnostic ignored "-Wregister"
#pragma GCC diagnostic ignored "-Wpedantic"

extern "C" {
#include "postgres.h"

#include "access/detoast.h"
#include "access/genam.h"
#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/nbtree.h"
#include "access/relation.h"
#include "access/subtrans.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/timeline.h"
#include "access/transam.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "access/xlog_internal.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_am_d.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_class.h"
#include "catalog/pg_collation_d.h"
#include "catalog/pg_inherits.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "commands/async.h"
#include "commands/extension.h"
#include "commands/sequence.h"
#include "commands/trigger.h"
#include "common/int.h"
#include "common/jsonapi.h"
#include "executor/spi.h"
#include "executor/tuptable.h"
#include "fmgr.h"
#include "funcapi.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "nodes/execnodes.h"
#include "partitioning/partbounds.h"
#include "partitioning/partdesc.h"
#include "replication/syncrep.h"
#include "replication/walsender.h"
#include "replication/walsender_private.h"
#include "storage/latch.h"
#include "storage/ipc.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "storage/procarray.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/datetime.h"
#include "utils/fmgroids.h"
#include "utils/fmgrprotos.h"
#include "utils/guc.h"
#include "utils/inval.h"
#include "utils/json.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/numeric.h"
#include "utils/partcache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"
#include "utils/typcache.h"
#include "utils/uuid.h"
#include "utils/wait_event.h"
#include "utils/wait_event.h"
#include "utils/xid8.h"
}

#pragma GCC diagnostic pop

// The headers' macros that collide with the C++ library.
#undef _
#undef gettext
#undef snprintf
#undef vsnprintf
#undef printf
#undef fprintf
#undef sprintf
#undef strerror

// Server versions before 16 leave PGDLLEXPORT empty, and -fvisibility=hidden then hides even Pg_magic_func.
#define OMS_EXPORT __attribute__((visibility("default")))

#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT OMS_EXPORT
#endif

namespace oms::pg::version {

// heap_update() reports in different ways whether the new version needs index entries of its own. Without `wait` a row that somebody else
// has is TM_BeingModified.
inline TM_Result update(Relation relation, ItemPointer tid, HeapTuple tuple, CommandId command, bool wait,
                        TM_FailureData* failure, bool* needs_index_entries) {
    LockTupleMode mode;
#if PG_VERSION_NUM >= 160000
    TU_UpdateIndexes which;
    TM_Result result = heap_update(relation, tid, tuple, command, InvalidSnapshot, wait, failure, &mode, &which);
    *needs_index_entries = which != TU_None;
#else
    TM_Result result = heap_update(relation, tid, tuple, command, InvalidSnapshot, wait, failure, &mode);
    *needs_index_entries = !HeapTupleIsHeapOnly(tuple);
#endif
    return result;
}

// Number of the running transaction within this backend; unlike a transaction id, every transaction has one.
inline LocalTransactionId local_transaction() {
#if PG_VERSION_NUM >= 170000
    return MyProc->vxid.lxid;
#else
    return MyProc->lxid;
#endif
}

// Opens an index whose table is locked already. That lock keeps the index from being dropped or rebuilt, so none is taken on the index itself;
// a server built with assertions insists on one.
inline Relation open_index_of_locked_table(Oid index) {
#ifdef USE_ASSERT_CHECKING
    return index_open(index, RowExclusiveLock);
#else
    return index_open(index, NoLock);
#endif
}

inline XLogRecPtr flushed_until() {
#if PG_VERSION_NUM >= 150000
    return GetFlushRecPtr(nullptr);
#else
    return GetFlushRecPtr();
#endif
}

inline TimeLineID writing_timeline() {
#if PG_VERSION_NUM >= 150000
    return GetWALInsertionTimeLine();
#else
    return ThisTimeLineID;
#endif
}

// Says whether this session holds the lock in this mode, be it for the session or for the transaction.
inline bool holds_lock(const LOCKTAG& tag, LOCKMODE mode) {
#if PG_VERSION_NUM >= 170000
    return LockHeldByMe(&tag, mode, false);
#else
    return LockHeldByMe(&tag, mode);
#endif
}

inline IndexScanDesc begin_index_scan(Relation heap, Relation index, Snapshot snapshot, int keys) {
#if PG_VERSION_NUM >= 180000
    return index_beginscan(heap, index, snapshot, nullptr, keys, 0);
#else
    return index_beginscan(heap, index, snapshot, keys, 0);
#endif
}

}  // namespace oms::pg::version
