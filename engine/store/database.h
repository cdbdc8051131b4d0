#pragma once
// SQLite behind RAII. One file, state.db in the root, shared by every process (WAL); each part of the engine keeps its own
// tables and registers its migrations.
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

struct sqlite3;
struct sqlite3_stmt;

namespace engine::store {

/// A prepared statement: bind by position (from 1), step, read columns (from 0). Reset and reusable by `rewind`.
class Statement {
public:
    Statement(Statement&& other) noexcept;
    Statement& operator=(Statement&&) = delete;
    ~Statement();
    Statement& bind(int index, std::string_view text);
    Statement& bind(int index, int64_t number);
    Statement& bind_null(int index);
    /// true: a row is there; false: done.
    base::Result<bool> step();
    /// Runs to the end.
    base::Status run();
    void rewind();
    std::string text(int column) const;
    int64_t number(int column) const;
    bool is_null(int column) const;

private:
    friend class Database;
    Statement(sqlite3* db, sqlite3_stmt* statement) : db_(db), statement_(statement) {}
    sqlite3* db_;
    sqlite3_stmt* statement_;
};

class Database {
public:
    /// Opens or creates; applies `migrations` of `part` not yet applied, each in its own transaction (table schema_version).
    static base::Result<Database> open(const std::string& path);
    Database(Database&& other) noexcept;
    Database& operator=(Database&&) = delete;
    ~Database();
    base::Status migrate(std::string_view part, const std::vector<std::string>& migrations);
    base::Status execute(const std::string& sql);
    base::Result<Statement> prepare(std::string_view sql);
    int64_t last_insert_id() const;
    int changes() const;
    /// Changes whenever another connection commits (PRAGMA data_version).
    base::Result<int64_t> data_version();

    /// BEGIN IMMEDIATE … COMMIT around `body` (a callable returning Status or Result); rolls back on error. Nested: joins.
    template <class Body>
    auto transaction(Body body) -> decltype(body()) {
        TRY_VOID(begin());
        auto result = body();
        if (result) {
            TRY_VOID(commit());
        } else {
            rollback();
        }
        return result;
    }

private:
    explicit Database(sqlite3* db) : db_(db) {}
    base::Status begin();
    base::Status commit();
    void rollback();
    sqlite3* db_;
    int depth_ = 0;
};

}  // namespace engine::store
