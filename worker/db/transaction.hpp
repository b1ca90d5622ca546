// A transaction that ends with its scope: committed when told, rolled back otherwise.
#pragma once

#include "db/connection.hpp"

namespace oms::db {

class Transaction {
  public:
    explicit Transaction(Connection& connection) : connection_(connection) { connection_.run_text("BEGIN"); }
    ~Transaction() {
        if (done_) return;
        try {
            connection_.run_text("ROLLBACK");
        } catch (const std::exception&) {
            // The session is lost, and with it the transaction.
        }
    }
    Transaction(const Transaction&) = delete;
    Transaction& operator=(const Transaction&) = delete;

    /// When this throws an error that is in_doubt(), the transaction may have been committed.
    void commit() {
        done_ = true;
        connection_.run_text("COMMIT");
    }

  private:
    Connection& connection_;
    bool done_ = false;
};

}  // namespace oms::db
