// XXH3, inlined from Debian's xxhash.h: the one place that includes it, because the macro has to come first.
// XXH_INLINE_ALL makes every function static, so no library is linked and nothing is exported; the functions that
// allocate (XXH3_createState) stay unreferenced and are not emitted.
// XXH3's values are fixed by its specification and equal on every machine, so they may be stored and compared.
#pragma once

#if defined(XXHASH_H_5627135585666179) && !defined(XXH_INLINE_ALL)
#error "xxhash.h was included before core/xxh3.hpp without XXH_INLINE_ALL"
#endif
#ifndef XXH_INLINE_ALL
#define XXH_INLINE_ALL
#endif
#include <xxhash.h>
