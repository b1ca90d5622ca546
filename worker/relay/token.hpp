// A token says what a message is for and carries the number that its answer is looked up by.
#pragma once

#include "relay/ports.hpp"

namespace oms::relay {

enum class Sending : std::uint64_t {
    event,      // number: the event's ticket
    dead_copy,  // a copy for the dead letter topic; number: the rejected event's ticket
    replay,     // number: the replay attempt
    cursor,     // of the transaction
};

constexpr int number_bits = 62;
constexpr Token number_mask = (Token{1} << number_bits) - 1;

constexpr Token make_token(Sending what, std::uint64_t number) {
    return (static_cast<Token>(what) << number_bits) | (number & number_mask);
}
constexpr Sending sending_of(Token token) { return static_cast<Sending>(token >> number_bits); }
constexpr std::uint64_t number_of(Token token) { return token & number_mask; }

}  // namespace oms::relay
