// nextval without the caller's rights and without the function manager.
#include "pg/sequence.hpp"

#include "pg/catalog.hpp"

namespace oms::pg {

std::int64_t Sequence::next() {
    // The schema's oid changes when the extension is dropped and created again; every session hears of that at once.
    if (schema_ != extension_schema() || !OidIsValid(oid_)) {
        oid_ = relation_oid(name_);
        schema_ = extension_schema();
    }
    return nextval_internal(oid_, false);
}

}  // namespace oms::pg
