#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace base {

std::string errno_text(int error) {
    switch (error) {  // the few that strerror words badly for people
        case EADDRINUSE: return "address already in use";
        case ENOENT: return "no such file or directory";
        default: break;
    }
    char buffer[128];
    std::string text = strerror_r(error, buffer, sizeof buffer);  // GNU form: returns the text
    if (!text.empty() && text[0] >= 'A' && text[0] <= 'Z' && !(text.size() > 1 && text[1] >= 'A' && text[1] <= 'Z'))
        text[0] = static_cast<char>(text[0] - 'A' + 'a');
    return text;
}

Error fail(Code code, std::string what) {
    Error error;
    error.code = code;
    error.what = std::move(what);
    return error;
}

namespace {
Code code_of(int error) {
    switch (error) {
        case ENOENT:
        case ESRCH: return Code::not_found;
        case EEXIST:
        case EADDRINUSE:
        case EBUSY: return Code::conflict;
        case EACCES:
        case EPERM:
        case EROFS: return Code::permission;
        case ENOSYS:
        case EOPNOTSUPP: return Code::unsupported_kernel;
        case ENOSPC:
        case EDQUOT: return Code::no_space;
        case ETIMEDOUT: return Code::timeout;
        case EINTR: return Code::interrupted;
        case ECONNREFUSED:
        case EHOSTUNREACH:
        case ENETUNREACH: return Code::unavailable;
        case EINVAL: return Code::invalid;
        default: return Code::internal;
    }
}
}  // namespace

Error fail_errno(std::string what, int error) {
    Error result;
    result.code = code_of(error);
    result.sys_errno = error;
    result.what = std::move(what) + ": " + errno_text(error);
    return result;
}

Error fail_errno(std::string what) { return fail_errno(std::move(what), errno); }

std::string Error::message() const {
    std::string text;
    for (auto it = context.rbegin(); it != context.rend(); ++it) text += *it + ": ";
    return text + what;
}

}  // namespace base
