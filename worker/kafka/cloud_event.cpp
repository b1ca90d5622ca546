#include "kafka/cloud_event.hpp"

#include <nlohmann/json.hpp>

namespace oms::kafka {

std::string rfc3339(std::string_view time) {
    std::string text(time);
    if (const auto space = text.find(' '); space != std::string::npos) text[space] = 'T';
    if (text.ends_with("+00")) text.replace(text.size() - 3, 3, "Z");
    return text;
}

const std::vector<Header>& CloudEvents::headers_of(const relay::Event& event) {
    id_ = std::to_string(event.id);
    seq_ = std::to_string(event.seq);
    time_ = rfc3339(event.occurred_at);
    headers_.clear();
    headers_.insert(headers_.end(), {{"ce_specversion", "1.0"},
                                     {"ce_id", id_},
                                     {"ce_source", source_},
                                     {"ce_type", event.type},
                                     {"ce_time", time_},
                                     {"ce_subject", event.aggregate_id},
                                     {"content-type", "application/json"},
                                     {"oms_seq", seq_},
                                     {"oms_aggregate_type", event.aggregate_type}});
    add_own(event.headers);
    return headers_;
}

/// Adds the event's own headers (traceparent, correlation_id ...). Names that are taken are not theirs to set.
void CloudEvents::add_own(std::string_view headers) {
    if (headers.size() <= 2) return;  // {}
    own_.read(headers);
    for (std::size_t i = 0; i < own_.size(); ++i) {
        const auto& [name, value] = own_[i];
        if (!name.starts_with("ce_") && !name.starts_with("oms_") && name != "content-type")
            headers_.emplace_back(name, value);
    }
}

/// Receives a flat object from the parser without a document in between: this is done for every event, and building
/// documents took a fifth of the relay's time. Stops at the first value that is an object or an array.
struct OwnHeadersReader {
    OwnHeaders& to;
    bool inside = false;
    bool nested = false;

    bool keep(std::string_view value) {
        to.next().second.assign(value);
        ++to.size_;
        return true;
    }
    bool key(std::string& name) {
        to.next().first = name;
        return true;
    }
    bool string(std::string& value) { return keep(value); }
    bool boolean(bool value) { return keep(value ? "true" : "false"); }
    bool number_integer(std::int64_t value) { return keep(std::to_string(value)); }
    bool number_unsigned(std::uint64_t value) { return keep(std::to_string(value)); }
    bool number_float(double, const std::string& text) { return keep(text); }
    bool null() { return true; }
    bool binary(std::vector<std::uint8_t>&) { return true; }
    bool start_object(std::size_t) {
        nested = inside;
        inside = true;
        return !nested;
    }
    bool start_array(std::size_t) {
        nested = inside;
        return false;
    }
    bool end_object() { return true; }
    bool end_array() { return true; }
    bool parse_error(std::size_t, const std::string&, const nlohmann::json::exception&) { return false; }
};

std::pair<std::string, std::string>& OwnHeaders::next() {
    if (size_ == members_.size()) members_.emplace_back();
    return members_[size_];
}

void OwnHeaders::read(std::string_view object) {
    size_ = 0;
    OwnHeadersReader reader{*this};
    if (nlohmann::json::sax_parse(object, &reader)) return;
    size_ = 0;
    if (reader.nested) read_nested(object);
}

void OwnHeaders::read_nested(std::string_view object) {
    const auto parsed = nlohmann::json::parse(object, nullptr, false);
    if (!parsed.is_object()) return;
    for (const auto& [name, value] : parsed.items()) {
        if (value.is_null()) continue;
        next() = {name, value.is_string() ? value.get<std::string>() : value.dump()};
        ++size_;
    }
}

}  // namespace oms::kafka
