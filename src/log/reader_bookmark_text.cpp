// Bookmarks as text and back. What comes back may be anything: it is believed only when it is whole and makes sense.
#include <charconv>

#include "log/reader_bookmark.hpp"
#include "pg/memory.hpp"

#include "pg/poison.hpp"

namespace oms::log {

namespace {

constexpr std::string_view form = "oms1";

void append(StringInfo text, const View& view) {
    appendStringInfo(text, " " UINT64_FORMAT " " UINT64_FORMAT " " INT64_FORMAT " " INT64_FORMAT " %zu", view.xmax,
                     view.from_xid, view.above_id, view.between, view.running.size());
    for (std::size_t i = 0; i < view.running.size(); ++i)
        appendStringInfo(text, " " UINT64_FORMAT " " INT64_FORMAT, view.running[i], view.bounds[i]);
}

// Takes words off the front of a text; once something is missing or wrong, everything is.
class Words {
  public:
    explicit Words(std::string_view words) : rest_(words) {}

    std::string_view word() {
        std::size_t end = std::min(rest_.find(' '), rest_.size());
        std::string_view found{rest_.data(), end};
        bool more = end < rest_.size();
        rest_.remove_prefix(more ? end + 1 : end);
        ok_ = ok_ && !found.empty() && more == !rest_.empty();
        return found;
    }

    template <class Number>
    Number number(Number least, Number most) {
        std::string_view digits = word();
        Number value{};
        auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        ok_ = ok_ && error == std::errc{} && end == digits.data() + digits.size() && value >= least && value <= most;
        return ok_ ? value : least;
    }

    Id id() { return number<Id>(0, beyond_all_ids); }
    Xid xid(Xid least, Xid most) { return number<Xid>(least, most); }

    View view() {
        View view{.xmax = xid(1, beyond_all_xids), .from_xid = xid(1, beyond_all_xids), .above_id = id()};
        view.between = id();
        // Each of them takes two words: a count that the text has no room for is not believed.
        auto count = number<std::size_t>(0, rest_.size() / 4 + 1);
        std::span<Xid> running = pg::allocate<Xid>(count);
        std::span<Id> bounds = pg::allocate<Id>(count);
        Xid least = 1;
        for (std::size_t i = 0; ok_ && i < count; ++i) {
            running[i] = xid(least, view.xmax - 1);
            bounds[i] = id();
            least = running[i] + 1;
        }
        view.running = running;
        view.bounds = bounds;
        return view;
    }

    void expect(bool condition) { ok_ = ok_ && condition; }
    bool whole() const { return ok_ && rest_.empty(); }

  private:
    std::string_view rest_;
    bool ok_ = true;
};

}  // namespace

std::string_view text_of(const WrittenPlace& place) {
    StringInfoData text;
    initStringInfo(&text);
    appendStringInfo(&text, "%.*s %.*s " INT64_FORMAT " %u " INT64_FORMAT " %u " UINT64_FORMAT " " INT64_FORMAT " %d",
                     static_cast<int>(form.size()), form.data(), static_cast<int>(place.reader.size()),
                     place.reader.data(), place.cluster, place.database, place.created_at, place.timeline, place.wal,
                     place.generation, place.cursor.life);
    append(&text, place.cursor.from);
    if (place.cursor.paging) {
        append(&text, place.cursor.to);
        appendStringInfo(&text, " " INT64_FORMAT, place.cursor.page_id);
    }
    return {text.data, static_cast<std::size_t>(text.len)};
}

std::optional<WrittenPlace> place_of(std::string_view text) {
    Words words{text};
    words.expect(words.word() == form);
    WrittenPlace place;
    place.reader = words.word();
    place.cluster = words.number<std::int64_t>(INT64_MIN, INT64_MAX);
    place.database = words.number<Oid>(1, UINT32_MAX);
    place.created_at = words.number<std::int64_t>(INT64_MIN, INT64_MAX);
    place.timeline = words.number<std::uint32_t>(1, UINT32_MAX);
    place.wal = words.number<std::uint64_t>(1, UINT64_MAX);
    place.generation = words.number<std::int64_t>(1, INT64_MAX);
    place.cursor.life = words.number<std::int32_t>(0, INT32_MAX);
    place.cursor.from = words.view();
    if (!words.whole()) {
        place.cursor.paging = true;
        place.cursor.to = words.view();
        place.cursor.page_id = words.id();
    }
    if (!words.whole()) return std::nullopt;
    return place;
}

}  // namespace oms::log
