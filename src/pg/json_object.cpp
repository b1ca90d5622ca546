// The stored form of a jsonb object, written directly.
#include "pg/json_object.hpp"

#include <cstring>

#include "pg/json.hpp"

namespace oms::pg {

namespace {

// jsonb's order of keys: shorter ones first, then by bytes.
bool comes_before(std::string_view a, std::string_view b) {
    if (a.size() != b.size()) return a.size() < b.size();
    return std::memcmp(a.data(), b.data(), a.size()) < 0;
}

// Numbers and containers begin at a multiple of four bytes.
std::size_t padding_before(JEntry type, std::size_t offset) {
    return type == JENTRY_ISNUMERIC || type == JENTRY_ISCONTAINER ? (4 - offset % 4) % 4 : 0;
}

// Writes entries one after the other; every 32nd says where its value ends instead of how long it is, so that one can be found without adding
// up all lengths before it.
class EntryWriter {
  public:
    explicit EntryWriter(JEntry* entries) : next_(entries) {}

    void add(JEntry type, std::size_t length) {
        end_ += length;
        bool as_offset = index_++ % JB_OFFSET_STRIDE == 0;
        *next_++ = static_cast<JEntry>(type | (as_offset ? end_ | JENTRY_HAS_OFF : length));
    }

  private:
    JEntry* next_;
    std::size_t end_ = 0;
    unsigned index_ = 0;
};

}  // namespace

void JsonObject::add(std::string_view name, JEntry type, const char* data, std::size_t size) {
    Assert(count_ < members_max);
    // Insertion sort: callers name a dozen members at the most.
    std::size_t at = count_++;
    for (; at > 0 && comes_before(name, members_[at - 1].name); --at) members_[at] = members_[at - 1];
    Assert(at == 0 || members_[at - 1].name != name);
    members_[at] = {name, type, data, size};
}

void JsonObject::text(std::string_view name, std::string_view value) {
    add(name, JENTRY_ISSTRING, value.data(), value.size());
}

void JsonObject::text_or_null(std::string_view name, std::string_view value) {
    if (value.empty()) {
        null(name);
    } else {
        text(name, value);
    }
}

void JsonObject::number(std::string_view name, std::int64_t value) {
    Numeric numeric = int64_to_numeric(value);
    add(name, JENTRY_ISNUMERIC, reinterpret_cast<const char*>(numeric), VARSIZE_ANY(numeric));
}

void JsonObject::boolean(std::string_view name, bool value) {
    add(name, value ? JENTRY_ISBOOL_TRUE : JENTRY_ISBOOL_FALSE, nullptr, 0);
}

void JsonObject::null(std::string_view name) { add(name, JENTRY_ISNULL, nullptr, 0); }

void JsonObject::time(std::string_view name, std::int64_t postgres_us) { text(name, iso_time(postgres_us)); }

void JsonObject::json(std::string_view name, const Jsonb* value) {
    auto* root = const_cast<JsonbContainer*>(&value->root);
    if (!JsonContainerIsScalar(root)) {
        add(name, JENTRY_ISCONTAINER, reinterpret_cast<const char*>(root), VARSIZE(value) - VARHDRSZ);
        return;
    }
    JsonbValue scalar;
    JsonbExtractScalar(root, &scalar);
    switch (scalar.type) {
    case jbvString: text(name, {scalar.val.string.val, static_cast<std::size_t>(scalar.val.string.len)}); break;
    case jbvNumeric:
        add(name, JENTRY_ISNUMERIC, reinterpret_cast<const char*>(scalar.val.numeric), VARSIZE_ANY(scalar.val.numeric));
        break;
    case jbvBool: boolean(name, scalar.val.boolean); break;
    default: null(name); break;
    }
}

Jsonb* JsonObject::finish() const {
    std::size_t data_size = 0;
    for (std::size_t i = 0; i < count_; ++i) data_size += members_[i].name.size();
    for (std::size_t i = 0; i < count_; ++i)
        data_size += padding_before(members_[i].type, data_size) + members_[i].size;

    std::size_t size = VARHDRSZ + sizeof(std::uint32_t) + 2 * count_ * sizeof(JEntry) + data_size;
    auto* object = static_cast<Jsonb*>(palloc(size));
    SET_VARSIZE(object, size);
    object->root.header = static_cast<std::uint32_t>(count_) | JB_FOBJECT;
    EntryWriter entries{object->root.children};
    char* const data = reinterpret_cast<char*>(object->root.children + 2 * count_);
    char* end = data;
    for (std::size_t i = 0; i < count_; ++i) {
        std::memcpy(end, members_[i].name.data(), members_[i].name.size());
        end += members_[i].name.size();
        entries.add(JENTRY_ISSTRING, members_[i].name.size());
    }
    for (std::size_t i = 0; i < count_; ++i) {
        const Member& member = members_[i];
        std::size_t padding = padding_before(member.type, static_cast<std::size_t>(end - data));
        std::memset(end, 0, padding);
        if (member.size > 0) std::memcpy(end + padding, member.data, member.size);
        end += padding + member.size;
        entries.add(member.type, padding + member.size);  // a value's length includes the padding before it
    }
    return object;
}

}  // namespace oms::pg
