#pragma once
// A shared library that is loaded when it is first asked for: what only some commands need costs the others nothing, and need not
// be installed.
#include <initializer_list>
#include <string>
#include <type_traits>

#include "base/error.h"

namespace base {

/// Stays loaded to the end of the process.
class Library {
public:
    /// The first of `names` that loads. unsupported: none does; `need` says who wants it ("registries need libcurl (Debian: …)").
    static Result<Library> open(std::initializer_list<const char*> names, const std::string& need);
    /// Binds a function pointer to the symbol of that name.
    template <typename Function>
    void bind(Function*& to, const char* name) {
        to = reinterpret_cast<Function*>(symbol(name));
    }
    /// unsupported: a symbol that was bound is missing; `what`: "this libcurl is too old", `hint`: "7.62 or later is needed".
    Status complete(const std::string& what, const std::string& hint = {}) const;

private:
    void* symbol(const char* name);
    void* handle_ = nullptr;
    std::string missing_;
};

}  // namespace base
