// The judge of what a broker holds: compares it with the log of the database.
#pragma once

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "test/fake_broker.hpp"
#include "test/fake_database.hpp"

namespace oms::test {

struct Verdict {
    int missing = 0;     // neither written nor dead
    int disorder = 0;    // first occurrences of a key out of the order of the log
    int duplicates = 0;  // further occurrences
    int unexcused = 0;   // of these, those of events that were never in doubt
    int invented = 0;    // written, but in no log
};

inline Verdict judge(const FakeDatabase& db, const FakeBroker& broker) {
    Verdict verdict;
    std::set<relay::EventId> seen;
    std::map<std::string, relay::EventId> last;
    std::set<relay::EventId> known;
    for (const auto& row : db.rows) known.insert(row.id);
    for (const auto& written : broker.log) {
        if (written.event == 0 || !broker.visible(written)) continue;  // a copy, a cursor; given up
        if (!known.contains(written.event)) ++verdict.invented;
        if (!seen.insert(written.event).second) {
            ++verdict.duplicates;
            if (!broker.in_doubt.contains(written.event)) ++verdict.unexcused;
            continue;
        }
        auto& before = last[written.topic + "/" + written.key];
        if (written.event < before) ++verdict.disorder;
        before = written.event;
    }
    for (const auto& row : db.rows) {
        const bool parked = std::find(db.parked.begin(), db.parked.end(), row.id) != db.parked.end();
        if (!row.topic.empty() && !seen.contains(row.id) && !db.dead.contains(row.id) && !parked) ++verdict.missing;
    }
    return verdict;
}

}  // namespace oms::test
