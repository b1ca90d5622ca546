// Reading and building jsonb.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

// Builds one jsonb object piece by piece, from members that are not known beforehand; for known ones JsonObject is faster.
class JsonWriter {
  public:
    void begin_object() { push(WJB_BEGIN_OBJECT, nullptr); }
    void end_object() { push(WJB_END_OBJECT, nullptr); }

    void key(std::string_view name);
    void field(std::string_view name, std::string_view text);
    void field(std::string_view name, std::int64_t number);
    void element(std::int64_t number);
    void real_field(std::string_view name, double number);
    void push(JsonbIteratorToken token, JsonbValue* value) { last_ = pushJsonbValue(&state_, token, value); }

    Jsonb* finish() { return JsonbValueToJsonb(last_); }

  private:
    JsonbParseState* state_ = nullptr;
    JsonbValue* last_ = nullptr;
};
static_assert(JumpSafe<JsonWriter>);

// A moment as ISO 8601 in UTC, in the current memory context.
std::string_view iso_time(std::int64_t postgres_us);

// What a member of an object is.
enum class JsonKind : unsigned char { missing, null, text, number, boolean, array, object };

struct JsonMember {
    JsonKind kind = JsonKind::missing;
    JsonbValue value;

    std::string_view text() const { return {value.val.string.val, static_cast<std::size_t>(value.val.string.len)}; }
    JsonbContainer* container() const { return value.val.binary.data; }
};

const char* kind_name(JsonKind kind);
// A value as an error shows it: a text or a number as it is, cut to a readable length; of others what they are.
const char* shown(const JsonMember& member);
JsonKind kind_of_value(const JsonbValue& value);
JsonMember member_of(JsonbContainer* object, std::string_view name);
JsonKind kind_of(const Jsonb* json);

// A number that is a whole one and fits a bigint; nothing is rounded.
std::optional<std::int64_t> whole_number(const JsonbValue& number);
double real_number(const JsonbValue& number);  // the nearest double; infinite beyond them

// The nearest double.
double decimal_number(const JsonbValue& number);

// A copy of an object in which one member is replaced, or added. `object` may be nullptr for an empty one.
Jsonb* with_member(Jsonb* object, std::string_view name, const Jsonb* value);

// Calls fn(index, member) for every element of an array. `container` must be an array.
template <class Fn>
void for_each_element(JsonbContainer* array, Fn&& fn) {
    std::uint32_t count = JsonContainerSize(array);
    JsonbIterator* iterator = JsonbIteratorInit(array);
    JsonbValue value;
    JsonbIteratorNext(&iterator, &value, true);  // the array's beginning
    for (std::uint32_t i = 0; i < count; ++i) {
        JsonMember element;
        JsonbIteratorNext(&iterator, &element.value, true);
        element.kind = kind_of_value(element.value);
        fn(i, element);
    }
}

// Calls fn(name, member) for every member of an object.
template <class Fn>
void for_each_member(JsonbContainer* object, Fn&& fn) {
    std::uint32_t count = JsonContainerSize(object);
    JsonbIterator* iterator = JsonbIteratorInit(object);
    JsonbValue name;
    JsonbIteratorNext(&iterator, &name, true);  // the object's beginning
    for (std::uint32_t i = 0; i < count; ++i) {
        JsonMember found;
        JsonbIteratorNext(&iterator, &name, true);
        JsonbIteratorNext(&iterator, &found.value, true);
        found.kind = kind_of_value(found.value);
        fn(std::string_view{name.val.string.val, static_cast<std::size_t>(name.val.string.len)}, found);
    }
}

// A member as a jsonb of its own.
inline Jsonb* to_jsonb(const JsonMember& member) { return JsonbValueToJsonb(const_cast<JsonbValue*>(&member.value)); }

inline Datum jsonb_datum(const Jsonb* json) { return PointerGetDatum(json); }

// A jsonb as the bytes to keep of an answer, and back; the bytes are aligned, as everything is that was copied into a memory context.
inline std::string_view stored_bytes(const Jsonb* json) {
    return {reinterpret_cast<const char*>(json), static_cast<std::size_t>(VARSIZE(json))};
}
inline JsonbContainer* from_stored_bytes(std::string_view bytes) {
    return &reinterpret_cast<Jsonb*>(const_cast<char*>(bytes.data()))->root;
}

// Members of an object that we wrote ourselves: a number, 0 when there is none; a text, empty when there is none.
std::int64_t number_member(JsonbContainer* object, std::string_view name);
std::string_view text_member(JsonbContainer* object, std::string_view name);

}  // namespace oms::pg
