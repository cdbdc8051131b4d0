#include "store/database.h"

#include <sqlite3.h>
#include <sys/stat.h>

#include <optional>

#include "base/file.h"

namespace engine::store {
namespace {

base::Error sql_error(sqlite3* db, std::string what) {
    int code = sqlite3_errcode(db);
    const bool full = code == SQLITE_FULL || ((code & 0xff) == SQLITE_IOERR && sqlite3_system_errno(db) == ENOSPC);
    base::Error error = base::fail(base::Code::internal, std::move(what) + ": " + (full ? "no space left on device" : sqlite3_errmsg(db)));
    if (full) error.code = base::Code::no_space;
    if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN || code == SQLITE_PERM) error.code = base::Code::permission;
    if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB) error.code = base::Code::corrupt;
    if (code == SQLITE_CONSTRAINT) error.code = base::Code::conflict;
    if (code == SQLITE_BUSY) error.code = base::Code::timeout;
    return error;
}

}  // namespace

Statement::Statement(Statement&& other) noexcept : db_(other.db_), statement_(std::exchange(other.statement_, nullptr)) {}
Statement::~Statement() { sqlite3_finalize(statement_); }

Statement& Statement::bind(int index, std::string_view text) {
    sqlite3_bind_text64(statement_, index, text.data(), text.size(), SQLITE_TRANSIENT, SQLITE_UTF8);
    return *this;
}
Statement& Statement::bind(int index, int64_t number) {
    sqlite3_bind_int64(statement_, index, number);
    return *this;
}
Statement& Statement::bind_null(int index) {
    sqlite3_bind_null(statement_, index);
    return *this;
}

base::Result<bool> Statement::step() {
    int code = sqlite3_step(statement_);
    if (code == SQLITE_ROW) return true;
    if (code == SQLITE_DONE) return false;
    return sql_error(db_, "state database");
}

base::Status Statement::run() {
    while (TRY(step())) {
    }
    return {};
}

void Statement::rewind() {
    sqlite3_reset(statement_);
    sqlite3_clear_bindings(statement_);
}

std::string Statement::text(int column) const {
    const unsigned char* bytes = sqlite3_column_text(statement_, column);
    return bytes ? std::string(reinterpret_cast<const char*>(bytes), static_cast<size_t>(sqlite3_column_bytes(statement_, column))) : std::string();
}
int64_t Statement::number(int column) const { return sqlite3_column_int64(statement_, column); }
bool Statement::is_null(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }

base::Result<Database> Database::open(const std::string& path) {
    // Two that make the file at once: the change to WAL does not wait for locks (it would upgrade one that it shares), it fails.
    std::optional<base::FileLock> first;
    struct stat status {};
    if (::stat(path.c_str(), &status) != 0 || status.st_size == 0)
        if (auto lock = base::FileLock::acquire(path + ".new-lock")) first = std::move(*lock);  // else the open says what is wrong
    sqlite3* raw = nullptr;
    int code = sqlite3_open_v2(path.c_str(), &raw, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
    Database db(raw);
    if (code != SQLITE_OK) {
        if (int error = raw ? sqlite3_system_errno(raw) : 0) return base::fail_errno("open \"" + path + "\"", error);
        return sql_error(raw, "open \"" + path + "\"");
    }
    sqlite3_busy_timeout(raw, 30000);
    // WAL with synchronous=NORMAL: a commit is a write, not an fsync; a crash of the machine may lose the last commits but
    // never the database's consistency.
    TRY_VOID(db.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA temp_store=MEMORY; "
                        "PRAGMA wal_autocheckpoint=4000;"));
    return db;
}

Database::Database(Database&& other) noexcept : db_(std::exchange(other.db_, nullptr)), depth_(std::exchange(other.depth_, 0)) {}
Database::~Database() {
    if (!db_) return;
    // The last to close would copy the log into the database, sync both and remove the log, which the next command makes and
    // syncs again. Below this size reading it anew costs less.
    constexpr off_t kSmallLog = 1 << 20;
    struct stat log {};
    const char* file = sqlite3_db_filename(db_, "main");
    if (file && ::stat((std::string(file) + "-wal").c_str(), &log) == 0 && log.st_size < kSmallLog)
        sqlite3_db_config(db_, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
    sqlite3_close_v2(db_);
}

base::Status Database::migrate(std::string_view part, const std::vector<std::string>& migrations) {
    auto version = [&]() -> base::Result<int64_t> {
        auto query = TRY(prepare("SELECT version FROM schema_version WHERE part = ?"));
        query.bind(1, part);
        return TRY(query.step()) ? query.number(0) : int64_t{0};
    };
    // The usual case costs one read; only a new or older file takes the write lock.
    if (auto current = version(); current && *current == static_cast<int64_t>(migrations.size())) return {};
    return transaction([&]() -> base::Status {
        TRY_VOID(execute("CREATE TABLE IF NOT EXISTS schema_version (part TEXT PRIMARY KEY, version INTEGER NOT NULL) WITHOUT ROWID"));
        int64_t current = TRY(version());
        if (current > static_cast<int64_t>(migrations.size()))
            return base::fail(base::Code::unsupported, "the state was written by a newer compose; use that one, or another --root");
        for (size_t i = static_cast<size_t>(current); i < migrations.size(); ++i) TRY_VOID(execute(migrations[i]));
        auto update = TRY(prepare("INSERT INTO schema_version VALUES (?, ?) ON CONFLICT (part) DO UPDATE SET version = excluded.version"));
        update.bind(1, part).bind(2, static_cast<int64_t>(migrations.size()));
        return update.run();
    });
}

base::Status Database::execute(const std::string& sql) {
    if (sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) return sql_error(db_, "state database");
    return {};
}

base::Result<Statement> Database::prepare(std::string_view sql) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql.data(), static_cast<int>(sql.size()), &statement, nullptr) != SQLITE_OK)
        return sql_error(db_, "state database");
    return Statement(db_, statement);
}

int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(db_); }
int Database::changes() const { return sqlite3_changes(db_); }

base::Result<int64_t> Database::data_version() {
    auto query = TRY(prepare("PRAGMA data_version"));
    TRY(query.step());
    return query.number(0);
}

base::Status Database::begin() {
    if (depth_++ > 0) return {};
    if (auto begun = execute("BEGIN IMMEDIATE"); !begun) {
        depth_ = 0;
        return begun;
    }
    return {};
}
base::Status Database::commit() {
    if (--depth_ > 0) return {};
    auto done = execute("COMMIT");
    if (!done) (void)execute("ROLLBACK");  // ignored: the first error is the one to tell
    return done;
}
void Database::rollback() {
    if (--depth_ > 0) return;
    (void)execute("ROLLBACK");  // ignored: nothing to roll back after some errors
}

}  // namespace engine::store
