#pragma once
// The grammar of `.env` and `env_file` (compose-spec 05-services.md "env_file", and what Docker Compose adds to it).
#include <expected>
#include <map>
#include <string>
#include <string_view>

#include "model/interpolate.h"

namespace compose::model {

struct DotenvError {
    int line = 0;  ///< 0: unknown
    std::string message;
};

using Variables = std::map<std::string, std::string>;

/// Reads assignments into `out`; a later one wins. `$NAME` in unquoted and double-quoted values is looked up in `lookup`,
/// then in `out`. A name without `=` takes its value from `lookup` or is left out. `lines` notes where each was set.
std::expected<void, DotenvError> parse_dotenv(std::string_view text, Variables& out, const Lookup& lookup, const Unset& unset = {},
                                              std::map<std::string, int>* lines = nullptr);

/// `format: raw`: NAME=VALUE lines, values verbatim.
std::expected<void, DotenvError> parse_raw_env(std::string_view text, Variables& out, const Lookup& lookup,
                                               std::map<std::string, int>* lines = nullptr);

}  // namespace compose::model
