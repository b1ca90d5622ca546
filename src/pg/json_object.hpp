// Building a jsonb object whose members are known: event payloads, on the hot path of every command.
//
// JsonWriter collects a tree, sorts it and converts it; for a dozen scalar members that costs four times what is needed. This one writes the
// stored form in one go: header, one entry for each key and each value, then the keys and the values themselves (utils/jsonb.h describes it).
// The invariant that jsonb has and this class keeps: keys are unique and sorted by length, then by bytes.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

#include "pg/jump.hpp"
#include "pg/postgres.hpp"

namespace oms::pg {

class JsonObject {
  public:
    // Texts and json values must live until finish().
    void text(std::string_view name, std::string_view value);
    void text_or_null(std::string_view name, std::string_view value);  // empty becomes null
    void number(std::string_view name, std::int64_t value);
    void boolean(std::string_view name, bool value);
    void time(std::string_view name, std::int64_t postgres_us);  // ISO 8601 in UTC
    void json(std::string_view name, const Jsonb* value);
    void null(std::string_view name);

    // The object, in the current memory context.
    Jsonb* finish() const;

  private:
    static constexpr std::size_t members_max = 20;

    struct Member {
        std::string_view name;
        JEntry type;
        const char* data;
        std::size_t size;
    };

    void add(std::string_view name, JEntry type, const char* data, std::size_t size);

    std::array<Member, members_max> members_;
    std::size_t count_ = 0;
};
static_assert(JumpSafe<JsonObject>);

}  // namespace oms::pg
