#pragma once
// `${NAME}`, `$NAME`, `$$` and the operators `:-` `-` `:+` `+` `:?` `?`, nested (compose-spec 12-interpolation.md).
#include <expected>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "model/load.h"
#include "model/node.h"
#include "model/report.h"

namespace compose::model {

using Lookup = std::function<std::optional<std::string>(std::string_view name)>;

struct TemplateError {
    std::string message;
    bool required = false;  ///< `:?` or `?` said so; else the template is malformed
    std::string variable;
};

/// Called for a variable that is not set and has no operator.
using Unset = std::function<void(std::string_view name)>;

std::expected<std::string, TemplateError> substitute(std::string_view text, const Lookup& lookup, const Unset& unset = {});

/// The variables of a template, each with its operator's text, as `config --variables` lists them.
std::vector<VariableUse> variables_of(std::string_view text);

/// Interpolates every string below `root` and casts those whose attribute is a number or a boolean.
class Interpolator {
public:
    /// `tell` says what a variable is and from where; given only for `config --explain`.
    Interpolator(Lookup lookup, Report& report, std::function<std::string(const std::string&)> tell)
        : lookup_(std::move(lookup)), report_(report), tell_(std::move(tell)) {}
    void run(Node& root);
    /// Unset variables with the places that use them, for one warning each.
    std::map<std::string, std::vector<Place>>& unset() { return unset_; }

private:
    void visit(Node& node, std::vector<std::string_view>& path);
    void apply(Node& node, const std::vector<std::string_view>& path);
    Lookup lookup_;
    Report& report_;
    std::function<std::string(const std::string&)> tell_;
    bool stopped_ = false;
    size_t grown_ = 0;
    std::map<std::string, std::vector<Place>> unset_;
};

/// Go's %v of a number: `1`, `1.5`, `1e+21`.
std::string number_text(double value);
/// A scalar as text, as it becomes an environment value; null is empty.
std::string scalar_text(const Node& node);

}  // namespace compose::model
