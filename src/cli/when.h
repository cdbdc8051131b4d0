#pragma once
#include <string>

#include "base/error.h"
#include "base/text.h"

namespace compose::cli {

/// --since and --until: an age (`42m`), an RFC 3339 time or date, or seconds since 1970. Empty: 0.
base::Result<base::Time> parse_when(const std::string& text);
/// A line split into words as a shell would: quotes and backslashes, no expansions.
base::Result<std::vector<std::string>> split_words(const std::string& line);

}  // namespace compose::cli
