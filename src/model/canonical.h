#pragma once
// Short forms → long forms, default values, relative paths, implied parts: the steps that make a merged tree canonical.
#include <string>

#include "model/dotenv.h"
#include "model/node.h"
#include "model/report.h"

namespace compose::model {

/// Member of a config or secret that holds the value of its variable.
constexpr std::string_view kHiddenContent = "#content";

/// Every short form becomes its long form. With `lenient` what cannot be parsed stays (uninterpolated text).
void to_long_forms(Node& root, Report& report, bool lenient);
/// Values that the specification gives when they are absent: ports' protocol, secrets' target, build's context …
void set_defaults(Node& root);
/// What the schema cannot say: exclusive attributes, empty paths, addresses.
void check_attributes(const Node& root, Report& report);
/// Relative paths become paths relative to `folder` (or absolute, when it is).
void resolve_paths(Node& root, const std::string& folder, const std::string& home, Report& report);
/// Names without a value take it from `variables` in lists of `environment`; configs and secrets from a variable get it.
void resolve_names(Node& root, const Variables& variables);
/// Implied parts: default network, names, dependencies by links, namespaces and volumes_from.
void normalize(Node& root, const std::string& project, const Variables& variables);

/// Go's filepath.Join of two.
std::string join_path(const std::string& folder, const std::string& path);

}  // namespace compose::model
