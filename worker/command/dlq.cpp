// `oms-worker dlq list|replay|discard`: one JSON object a line, for eyes and for pipes.
#include <cstdio>

#include "command/command.hpp"
#include "db/dead_letters.hpp"

namespace oms::command {

int dlq(const runtime::Command& command) {
    db::DeadLetters letters(target_of(command.settings));
    std::vector<std::string> rows;
    switch (command.verb) {
    case runtime::Verb::dlq_list: rows = letters.list(command.filter, command.limit); break;
    case runtime::Verb::dlq_replay:
        rows =
            letters.replay(command.ids, command.filter, command.limit, command.rate, !command.execute, command.reason);
        break;
    default: rows = letters.discard(command.ids, command.reason); break;
    }
    for (const auto& row : rows) std::printf("%s\n", row.c_str());
    if (command.verb == runtime::Verb::dlq_replay && !command.execute)
        std::fprintf(stderr, "%zu dead letters would be replayed; add --execute to do it\n", rows.size());
    return done;
}

}  // namespace oms::command
