// One descent from the root to the leaf where a value would stand.
#include "pg/btree.hpp"

namespace oms::pg {

namespace {

Buffer descend(Relation index, [[maybe_unused]] Relation table, BTScanInsert key) {
    Buffer leaf;
#if PG_VERSION_NUM >= 170000
    BTStack stack = _bt_search(index, table, key, &leaf, BT_READ);
#elif PG_VERSION_NUM >= 160000
    BTStack stack = _bt_search(index, table, key, &leaf, BT_READ, nullptr);
#else
    BTStack stack = _bt_search(index, key, &leaf, BT_READ, nullptr);
#endif
    _bt_freestack(stack);
    return leaf;
}

// The first position on the leaf whose entry is not below the key.
OffsetNumber first_not_below(Relation index, Page page, BTScanInsert key) {
    auto opaque = reinterpret_cast<BTPageOpaque>(PageGetSpecialPointer(page));
    OffsetNumber low = P_FIRSTDATAKEY(opaque);
    auto high = static_cast<OffsetNumber>(PageGetMaxOffsetNumber(page) + 1);
    while (low < high) {
        auto middle = static_cast<OffsetNumber>(low + (high - low) / 2);
        if (_bt_compare(index, key, page, middle) > 0) {
            low = static_cast<OffsetNumber>(middle + 1);
        } else {
            high = middle;
        }
    }
    return low;
}

}  // namespace

bool index_may_contain(Relation index, Relation table, Datum value) {
    Datum values[INDEX_MAX_KEYS] = {value};
    bool nulls[INDEX_MAX_KEYS] = {};
    IndexTuple entry = index_form_tuple(RelationGetDescr(index), values, nulls);
    BTScanInsert key = _bt_mkscankey(index, entry);
    key->scantid = nullptr;  // any row with this value, not the one that the entry was formed for
    Buffer leaf = descend(index, table, key);
    if (!BufferIsValid(leaf)) return false;  // nothing was ever inserted

    Page page = BufferGetPage(leaf);
    OffsetNumber position = first_not_below(index, page, key);
    bool may_contain;
    if (position <= PageGetMaxOffsetNumber(page)) {
        may_contain = _bt_compare(index, key, page, position) == 0;
    } else {
        // Everything here is below the value; it could still begin the next page.
        may_contain = !P_RIGHTMOST(reinterpret_cast<BTPageOpaque>(PageGetSpecialPointer(page)));
    }
    _bt_relbuf(index, leaf);
    pfree(key);
    pfree(entry);
    return may_contain;
}

}  // namespace oms::pg
