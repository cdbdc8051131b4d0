#pragma once
// YAML text → Node trees with places. Scalars mean what go-yaml v3 makes of them, since that is what Compose files are
// written against: `yes`, `on` are strings, `0440` and `0o440` are octal, `1_000` is a number, `<<` merges.
#include <string>
#include <string_view>
#include <vector>

#include "model/node.h"
#include "model/report.h"

namespace compose::model {

constexpr size_t kMaxFileBytes = 16u << 20;   ///< a larger Compose file is refused
constexpr size_t kMaxDepth = 200;             ///< of nested lists and mappings
constexpr size_t kMaxPath = 16u << 10;          ///< bytes of the names from the top to a value
constexpr size_t kMaxNodes = 400'000;         ///< after aliases are expanded
constexpr size_t kMaxAliasBytes = 32u << 20;  ///< text that aliases may multiply to

/// Every document of the file. A syntax error, a duplicate key, an unknown anchor, a key that is no string, an alias that
/// contains itself or multiplies beyond the limits are errors in `report`, with nothing returned.
std::vector<Node> read_yaml(std::string_view text, uint32_t file, Report& report);

/// What a plain (unquoted) scalar means.
Node resolve_plain_scalar(std::string_view text);

}  // namespace compose::model
