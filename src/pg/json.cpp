// jsonb in both directions.
#include "pg/json.hpp"

#include <charconv>
#include <cstring>

#include "pg/memory.hpp"
#include "pg/raise.hpp"

namespace oms::pg {

namespace {

JsonbValue text_value(std::string_view text) {
    JsonbValue value;
    value.type = jbvString;
    value.val.string.val = const_cast<char*>(text.data());
    value.val.string.len = static_cast<int>(text.size());
    return value;
}

}  // namespace

void JsonWriter::key(std::string_view name) {
    JsonbValue value = text_value(name);
    push(WJB_KEY, &value);
}

void JsonWriter::field(std::string_view name, std::string_view text) {
    key(name);
    JsonbValue value = text_value(text);
    push(WJB_VALUE, &value);
}

void JsonWriter::field(std::string_view name, std::int64_t number) {
    key(name);
    JsonbValue value;
    value.type = jbvNumeric;
    value.val.numeric = int64_to_numeric(number);
    push(WJB_VALUE, &value);
}

void JsonWriter::real_field(std::string_view name, double number) {
    key(name);
    JsonbValue value;
    value.type = jbvNumeric;
    value.val.numeric = DatumGetNumeric(DirectFunctionCall1(float8_numeric, Float8GetDatum(number)));
    push(WJB_VALUE, &value);
}

void JsonWriter::element(std::int64_t number) {
    JsonbValue value;
    value.type = jbvNumeric;
    value.val.numeric = int64_to_numeric(number);
    push(WJB_ELEM, &value);
}

std::string_view iso_time(std::int64_t postgres_us) {
    char* buffer = static_cast<char*>(palloc(MAXDATELEN + 1));
    static constexpr int utc = 0;
    JsonEncodeDateTime(buffer, TimestampTzGetDatum(postgres_us), TIMESTAMPTZOID, &utc);
    return buffer;
}

const char* kind_name(JsonKind kind) {
    switch (kind) {
    case JsonKind::missing: return "missing";
    case JsonKind::null: return "null";
    case JsonKind::text: return "a string";
    case JsonKind::number: return "a number";
    case JsonKind::boolean: return "a boolean";
    case JsonKind::array: return "an array";
    case JsonKind::object: return "an object";
    }
    return "unknown";
}

const char* shown(const JsonMember& member) {
    if (member.kind == JsonKind::text) return format("the string %s", quoted(member.text()));
    if (member.kind == JsonKind::number) {
        const char* digits =
            DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(member.value.val.numeric)));
        return format("the number %.80s", digits);
    }
    return kind_name(member.kind);
}

JsonKind kind_of_value(const JsonbValue& value) {
    switch (value.type) {
    case jbvNull: return JsonKind::null;
    case jbvString: return JsonKind::text;
    case jbvNumeric: return JsonKind::number;
    case jbvBool: return JsonKind::boolean;
    case jbvBinary: return JsonContainerIsArray(value.val.binary.data) ? JsonKind::array : JsonKind::object;
    case jbvArray: return JsonKind::array;
    case jbvObject: return JsonKind::object;
    default: return JsonKind::missing;
    }
}

JsonMember member_of(JsonbContainer* object, std::string_view name) {
    JsonMember member;
    if (getKeyJsonValueFromContainer(object, name.data(), static_cast<int>(name.size()), &member.value) != nullptr) {
        member.kind = kind_of_value(member.value);
    }
    return member;
}

JsonKind kind_of(const Jsonb* json) {
    auto* root = const_cast<JsonbContainer*>(&json->root);
    if (!JsonContainerIsScalar(root)) return JsonContainerIsArray(root) ? JsonKind::array : JsonKind::object;
    JsonbValue scalar;
    JsonbExtractScalar(root, &scalar);
    return kind_of_value(scalar);
}

double real_number(const JsonbValue& number) {
    return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, NumericGetDatum(number.val.numeric)));
}

std::optional<std::int64_t> whole_number(const JsonbValue& number) {
    const char* text = DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(number.val.numeric)));
    std::string_view digits{text};
    std::size_t point = digits.find('.');
    if (point != std::string_view::npos) {
        // 2.00 is a whole number, 2.50 is not.
        if (digits.find_first_not_of('0', point + 1) != std::string_view::npos) return std::nullopt;
        digits.remove_suffix(digits.size() - point);
    }
    std::int64_t result = 0;
    auto [end, problem] = std::from_chars(digits.data(), digits.data() + digits.size(), result);
    if (problem != std::errc{} || end != digits.data() + digits.size()) return std::nullopt;
    return result;
}

double decimal_number(const JsonbValue& number) {
    return DatumGetFloat8(DirectFunctionCall1(numeric_float8, NumericGetDatum(number.val.numeric)));
}

Jsonb* with_member(Jsonb* object, std::string_view name, const Jsonb* value) {
    JsonWriter json;
    json.begin_object();
    if (object != nullptr) {
        for_each_member(&object->root, [&](std::string_view each, JsonMember member) {
            if (each == name) return;
            json.key(each);
            json.push(WJB_VALUE, &member.value);
        });
    }
    json.key(name);
    JsonbValue added;
    auto* root = const_cast<JsonbContainer*>(&value->root);
    if (!JsonbExtractScalar(root, &added)) {
        added.type = jbvBinary;
        added.val.binary.data = root;
        added.val.binary.len = static_cast<int>(VARSIZE(value) - VARHDRSZ);
    }
    json.push(WJB_VALUE, &added);
    json.end_object();
    return json.finish();
}

std::int64_t number_member(JsonbContainer* object, std::string_view name) {
    JsonMember member = member_of(object, name);
    return member.kind == JsonKind::number ? whole_number(member.value).value_or(0) : 0;
}

std::string_view text_member(JsonbContainer* object, std::string_view name) {
    JsonMember member = member_of(object, name);
    return member.kind == JsonKind::text ? member.text() : std::string_view{};
}

}  // namespace oms::pg
