// What went wrong in the database, by what the caller has to do.
#pragma once

#include <stdexcept>
#include <string>
#include <string_view>

namespace oms::db {

class Error : public std::runtime_error {
  public:
    enum class Session { alive, lost };

    Error(const std::string& message, std::string sqlstate, Session session, bool sent)
        : std::runtime_error(message), sqlstate_(std::move(sqlstate)), session_(session), sent_(sent) {}

    /// Five characters, or empty when the server said nothing (a cut connection).
    std::string_view sqlstate() const noexcept { return sqlstate_; }

    bool session_lost() const noexcept { return session_ == Session::lost; }

    /// The same statement may succeed later, perhaps in a new session.
    bool retryable() const noexcept;

    /// The connection broke after the statement was sent: it may or may not have been committed.
    bool in_doubt() const noexcept { return (session_lost() && sent_) || sqlstate_ == "40003"; }

  private:
    std::string sqlstate_;
    Session session_;
    bool sent_;
};

}  // namespace oms::db
