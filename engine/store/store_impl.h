#pragma once
// What the files of Store share: the connection, statements prepared once, the lock.
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>

#include "store/reserve.h"
#include "store/store.h"

namespace engine::store {

/// A statement in use; rewinds at scope exit, so that no read transaction stays open behind it.
class Query {
public:
    explicit Query(Statement& statement) : statement_(&statement) {}
    Query(Query&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
    Query& operator=(Query&&) = delete;
    ~Query() {
        if (statement_) statement_->rewind();
    }
    Statement* operator->() const { return statement_; }
    template <class... Values> Query& bind(const Values&... values) {
        int index = 0;
        (bind_one(++index, values), ...);
        return *this;
    }

private:
    void bind_one(int index, std::string_view value) { statement_->bind(index, value); }
    void bind_one(int index, const std::string& value) { statement_->bind(index, std::string_view(value)); }
    void bind_one(int index, const char* value) { statement_->bind(index, std::string_view(value)); }
    void bind_one(int index, int64_t value) { statement_->bind(index, value); }
    Statement* statement_;
};

struct Store::Impl {
    Paths paths;
    Database db;
    ChangeSignal signal;
    std::recursive_mutex mutex;
    int depth = 0;
    std::map<const char*, std::unique_ptr<Statement>> statements;  ///< by the literal's address

    Impl(Paths p, Database d, ChangeSignal s) : paths(std::move(p)), db(std::move(d)), signal(std::move(s)) {}
    ~Impl() { statements.clear(); }

    /// `sql` must be a literal. The caller holds the mutex.
    base::Result<Query> query(const char* sql) {
        auto& slot = statements[sql];
        if (!slot) slot = std::make_unique<Statement>(TRY(db.prepare(sql)));
        return Query(*slot);
    }
    /// Runs `body` in a transaction; the outermost one notifies.
    template <class Body> base::Status write(Body body) {
        std::lock_guard lock(mutex);
        ++depth;
        auto all = [&]() -> base::Status { return body(); };
        base::Status done = db.transaction(all);
        if (depth == 1 && !done && done.error().code == base::Code::no_space) {
            make_room();
            done = db.transaction(all);
        }
        if (--depth == 0 && done) signal.notify();
        return done;
    }
    /// The disk is full.
    void make_room() {
        release_reserve(paths);
        (void)db.execute("PRAGMA wal_checkpoint(TRUNCATE)");  // what was written ahead takes room twice
    }
    /// Binds, runs, done.
    template <class... Values> base::Status run(const char* sql, const Values&... values) {
        auto statement = TRY(query(sql));
        statement.bind(values...);
        return statement->run();
    }
};

/// The migrations of the tables below (Database::migrate).
const std::vector<std::string>& migrations();

}  // namespace engine::store
