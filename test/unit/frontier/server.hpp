// A server in small: transactions with ids that wrap around, snapshots as PostgreSQL takes them, and a table that is a queue. One session is the
// claimer's, which is under test; the others act at random whenever the claimer gives them the chance, also between two calls of its own.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <random>
#include <set>
#include <vector>

#include "pg/postgres.hpp"

namespace model {

// queue: keys come from a sequence. clock: a key is the moment at which a row is due, now or later.
enum class Keys { queue, clock };

struct Setting {
    Keys keys = Keys::queue;
    int writers = 4;  // other transactions that run at a time
    TransactionId first_xid = 1000;
    double rolls_back = 0.3;
};

struct Row {
    std::int64_t key;
    std::uint64_t inserted_by;
    std::uint64_t holder = 0;  // who has taken or locked it, last
    bool takes = false;        // the holder has taken it, and not merely locked
};

class Server {
  public:
    Server(const Setting& setting, std::uint64_t seed);

    bool quiet = false;  // the others do nothing any more

    // The others do something, or nothing, or a lot at once.
    void others_act(double bursts = 0.1);
    void end_others();

    // The claimer's side.
    std::uint64_t own();  // its transaction, which has an id from now on
    bool in_own_transaction() const { return own_ != 0; }
    void insert_own();
    void end_own(bool commit);
    // What the claimer has taken since it took `count` rows is free again, and its transaction goes on.
    void back_to_savepoint(std::size_t count);
    std::vector<std::size_t>& taken() { return taken_; }

    std::int64_t highest_key();  // read before a look: nobody draws a key up to it who has no id yet
    Snapshot snapshot();
    bool sees(std::uint64_t transaction) const;  // in the last snapshot
    TransactionId next_xid() const { return xid_of(next_); }
    static TransactionId xid_of(std::uint64_t transaction);
    bool is_own(TransactionId xid) const { return own_ != 0 && xid_of(own_) == xid; }

    std::size_t running() const { return running_.size(); }
    bool runs(std::uint64_t transaction) const { return running_.contains(transaction); }
    bool committed(std::uint64_t transaction) const { return committed_.contains(transaction); }
    // Nobody has it; and the claimer's transaction, if it is open, has not had it before.
    bool is_free(std::size_t row) const;
    // Gone for good: its writer has rolled back, or somebody has taken it and committed.
    bool is_gone(const Row& row) const;
    // Keys that were drawn by transactions that run, for rows that are not there yet.
    std::vector<std::int64_t> keys_under_way() const;

    std::deque<Row>& rows() { return rows_; }
    bool toss(double probability) { return std::bernoulli_distribution(probability)(random_); }
    int up_to(int most) { return std::uniform_int_distribution(0, most)(random_); }

    bool clock_keys() const { return setting_.keys == Keys::clock; }
    std::int64_t clock() const { return clock_; }
    std::uint64_t acts() const { return acts_; }

  private:
    struct Running {
        std::vector<std::int64_t> drawn;  // not inserted yet
    };

    std::uint64_t begin();
    void end(std::uint64_t transaction, bool commit);
    std::int64_t draw();
    void act();

    Setting setting_;
    std::mt19937_64 random_;
    std::uint64_t next_;
    std::uint64_t latest_completed_;
    std::uint64_t own_ = 0;
    std::int64_t last_key_ = 0;
    std::int64_t clock_ = 1000;
    std::map<std::uint64_t, Running> running_;
    std::set<std::uint64_t> committed_;
    std::deque<Row> rows_;
    std::vector<std::size_t> taken_;
    std::set<std::size_t> given_back_;  // rows that the claimer's transaction has taken and let go again
    std::uint64_t acts_ = 0;

    SnapshotData snapshot_{};
    std::vector<TransactionId> listed_;
    std::uint64_t snapshot_end_ = 0;
    std::set<std::uint64_t> snapshot_running_;
};

// The one that the server's functions speak for.
extern Server* server;

}  // namespace model
