// Rows that came back, owned.
#pragma once

#include <libpq-fe.h>

#include <charconv>
#include <concepts>
#include <memory>
#include <stdexcept>
#include <string_view>

namespace oms::db {

struct ResultDeleter {
    void operator()(PGresult* result) const noexcept { PQclear(result); }
};
using ResultHandle = std::unique_ptr<PGresult, ResultDeleter>;

class Result {
  public:
    explicit Result(ResultHandle handle) : handle_(std::move(handle)) {}

    int rows() const noexcept { return PQntuples(handle_.get()); }
    bool is_null(int row, int column) const noexcept { return PQgetisnull(handle_.get(), row, column) != 0; }
    /// The view lives as long as the result; NULL reads as the empty text.
    std::string_view text(int row, int column) const noexcept {
        return {PQgetvalue(handle_.get(), row, column),
                static_cast<std::size_t>(PQgetlength(handle_.get(), row, column))};
    }
    bool boolean(int row, int column) const noexcept { return text(row, column) == "t"; }

    template <std::integral T>
    T number(int row, int column) const {
        const auto digits = text(row, column);
        T value{};
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
        if (error != std::errc{} || end != digits.data() + digits.size())
            throw std::runtime_error("the database returned '" + std::string(digits) + "' where a number was expected");
        return value;
    }

  private:
    ResultHandle handle_;
};

}  // namespace oms::db
