#pragma once
// runc's command line: GLOBAL OPTIONS VERB OPTIONS ID …
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace engine::oci {

struct Option {
    std::string_view name;
    char letter = 0;
    bool takes_value = false;
    std::string_view help = {};
};
/// Options up to the first word that is none (or `--`), as Go's flag package reads them: -name, --name, --name=value; then the rest.
struct Parsed {
    std::map<std::string, std::vector<std::string>, std::less<>> values;
    std::vector<std::string> rest;
    bool given(std::string_view name) const { return values.contains(name); }
    bool on(std::string_view name) const;
    std::string text(std::string_view name, std::string otherwise = {}) const;
    std::vector<std::string> all(std::string_view name) const;
    /// A whole number; invalid with runc's words otherwise.
    base::Result<int64_t> number(std::string_view name, int64_t otherwise) const;
};
base::Result<Parsed> parse_options(std::span<const Option> options, const std::vector<std::string>& words);

struct Verb {
    std::string_view name, operands, summary;
    std::span<const Option> options;
    size_t least = 1, most = 1;  ///< operands
};
std::string verb_help(const Verb& verb);

/// The whole program: returns the exit status; errors are printed and, with --log, written there.
int runtime_main(const std::vector<std::string>& words, const std::string& version);

}  // namespace engine::oci
