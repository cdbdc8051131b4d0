#pragma once
// Errors as values. Every layer reports what it tried, on what, and why it failed; the layer above adds what the user was
// doing with `context`. Exceptions never cross a file that wraps a throwing library.
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace base {

/// What programs react to; exit statuses are mapped from it in one table (src/cli/exit_status.h).
enum class Code : uint8_t {
    internal,
    invalid,             ///< bad input: a file, a flag, a reference
    not_found,
    conflict,            ///< a name, port or address is taken
    permission,
    unsupported,         ///< this engine does not do that
    unsupported_kernel,  ///< the kernel lacks a feature
    unavailable,         ///< a registry, a socket or a host does not answer
    corrupt,             ///< a digest, a size or a format is wrong
    no_space,
    timeout,
    unhealthy,
    interrupted,
    not_running,
    cannot_execute,      ///< exit status 126
    no_such_command,     ///< exit status 127
};

/// A place in a file; line and column count from 1, 0 is unknown.
struct SourcePos {
    std::string file;
    int line = 0;
    int column = 0;
    bool operator==(const SourcePos&) const = default;
};

struct Error {
    Code code = Code::internal;
    int sys_errno = 0;                 ///< the errno behind it, 0 when there is none
    std::string what;                  ///< `open "/x": permission denied`
    std::optional<SourcePos> at;       ///< where the user wrote the cause
    std::vector<std::string> context;  ///< what each caller was doing, innermost first

    /// The whole sentence, outermost context first: `start web-1: mount volume "data": …`.
    std::string message() const;
    /// Adds what the caller was doing, for people.
    Error&& with(std::string doing) && {
        context.push_back(std::move(doing));
        return std::move(*this);
    }
};

/// A value or an Error. Derived, so that g++ 12 warns when it is dropped.
template <class T>
struct [[nodiscard]] Result : std::expected<T, Error> {
    using std::expected<T, Error>::expected;
    Result(Error error) : std::expected<T, Error>(std::unexpect, std::move(error)) {}
    /// Adds what the caller was doing to the error, if there is one.
    Result context(std::string_view doing) && {
        if (!this->has_value()) this->error().context.emplace_back(doing);
        return std::move(*this);
    }
};
using Status = Result<void>;

/// An error that has no errno.
Error fail(Code code, std::string what);
/// `what: text of errno`; the code follows from errno (ENOENT → not_found, ENOSPC → no_space …).
Error fail_errno(std::string what, int error);
/// As above with the current errno.
Error fail_errno(std::string what);
/// The text of errno without a buffer shared between threads.
std::string errno_text(int error);

}  // namespace base

/// The value of a Result, or return its Error from the enclosing function.
#define TRY(expression)                                                       \
    __extension__({                                                           \
        auto try_result_ = (expression);                                      \
        if (!try_result_) return ::base::Error(std::move(try_result_.error())); \
        std::move(*try_result_);                                              \
    })
/// For Status: return the Error if there is one.
#define TRY_VOID(expression)                                                    \
    do {                                                                        \
        if (auto try_result_ = (expression); !try_result_)                      \
            return ::base::Error(std::move(try_result_.error()));               \
    } while (false)
/// In a coroutine: `CO_TRY(auto x, co_await f());` (g++ 12.2 crashes on co_return inside a statement expression).
#define CO_TRY_NAME2(a, b) a##b
#define CO_TRY_NAME(a, b) CO_TRY_NAME2(a, b)
#define CO_TRY_IMPL(name, declaration, expression)              \
    auto name = (expression);                                   \
    if (!name) co_return ::base::Error(std::move(name.error())); \
    declaration = std::move(*name)
#define CO_TRY(declaration, expression) CO_TRY_IMPL(CO_TRY_NAME(co_try_, __LINE__), declaration, expression)
#define CO_TRY_VOID(expression)                                  \
    do {                                                         \
        if (auto co_try_result_ = (expression); !co_try_result_) \
            co_return ::base::Error(std::move(co_try_result_.error())); \
    } while (false)
