#include "base/library.h"

#include <dlfcn.h>

namespace base {

Result<Library> Library::open(std::initializer_list<const char*> names, const std::string& need) {
    Library out;
    for (const char* name : names)
        if (out.handle_ == nullptr) out.handle_ = ::dlopen(name, RTLD_NOW | RTLD_LOCAL);
    if (out.handle_ != nullptr) return out;
    const char* why = ::dlerror();
    return fail(Code::unsupported, need + ": " + (why != nullptr ? why : "not found"));
}

void* Library::symbol(const char* name) {
    void* found = ::dlsym(handle_, name);
    if (found == nullptr && missing_.empty()) missing_ = name;
    return found;
}

Status Library::complete(const std::string& what, const std::string& hint) const {
    if (missing_.empty()) return {};
    return fail(Code::unsupported, what + ": it has no " + missing_ + (hint.empty() ? "" : " (" + hint + ")"));
}

}  // namespace base
