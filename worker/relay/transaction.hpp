// What the relay remembers of the broker's open transaction, and of why earlier ones failed.
#pragma once

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "relay/ports.hpp"
#include "relay/window.hpp"

namespace oms::relay {

struct Transaction {
    explicit Transaction(runtime::Clock::time_point now) : since(now) {}

    runtime::Clock::time_point since;
    std::optional<EventId> last_read;  // where its cursor stands, if it has read anything
    bool caught_up = false;            // its last read came to the end of the log
    bool ending = false;               // nothing more is read into it
    bool introduces = false;           // carries the cursor alone, to prove that it can be written
    bool cursor_stored = false;
    std::size_t messages = 0;  // but for the cursor
    Token last_message = 0;

    // What counts when it is committed.
    std::vector<Ticket> acknowledged;
    std::vector<std::int64_t> replays;
    std::vector<Receipt> receipts;
};

/// A transaction can fail through one of its messages without a word about which. Then the next ones are made smaller, down
/// to one message, which is the culprit if it fails alone and the cursor without it does not.
class Suspicion {
  public:
    bool any() const noexcept { return most_.has_value(); }
    /// How many messages the next transaction may have, if `usual` is what it could.
    std::size_t limit(std::size_t usual) const noexcept { return most_ ? std::min(*most_, usual) : usual; }

    void failed(std::size_t messages) { most_ = std::max<std::size_t>(messages / 2, 1); }
    void passed() {
        if (most_) most_ = *most_ * 2;
        if (most_ > enough) most_.reset();
    }

    struct Culprit {
        Token message;
        EventId event;
        std::string error;
    };
    void suspect(Culprit culprit) { culprit_ = std::move(culprit); }
    std::optional<Culprit> take_culprit() { return std::exchange(culprit_, std::nullopt); }

  private:
    static constexpr std::size_t enough = 100'000;

    std::optional<std::size_t> most_;
    std::optional<Culprit> culprit_;
};

}  // namespace oms::relay
