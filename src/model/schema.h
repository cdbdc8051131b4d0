#pragma once
// Validation against schema/compose.schema.json, embedded at build time: the one source for names and forms of attributes.
#include <string>
#include <string_view>
#include <vector>

#include "model/node.h"
#include "model/report.h"

namespace compose::model {

/// The text of schema/compose.schema.json.
std::string_view schema_text();

/// Reports everything below `root` that the schema does not allow, each with its place, its path and, for a misspelt name,
/// a suggestion.
void validate_schema(const Node& root, Report& report);

/// The description that the schema gives for an attribute path like `services.web.image`; empty when it has none.
std::string schema_description(std::string_view path);

/// The names that the schema knows below `services.*`, sorted. For tests and completion.
std::vector<std::string> service_attributes();

}  // namespace compose::model
