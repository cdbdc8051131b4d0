#pragma once
// Merging of Compose files (compose-spec 13-merge.md): a rule is a row, path pattern → how the two values become one.
#include <string>

#include "model/node.h"
#include "model/report.h"

namespace compose::model {

struct MergeContext {
    Report& report;
    bool keep_origin = false;  ///< remember what a value was before
    std::string note;          ///< why: "override", "extends base"
    bool keep_tags = false;    ///< leave `!reset` marks in the result for a later merge (extends)
};

/// `over` on top of `base`. `!reset` takes away what is below it, `!override` replaces it.
void merge_tree(Node& base, Node over, const MergeContext& context);
/// The same for one service: `extends`.
void merge_service(Node& base, Node over, const std::string& service, const MergeContext& context);
/// Removes every `!reset` node and every tag that the merges left.
void strip_tags(Node& node);
/// In lists whose items have an identity (ports, volumes, environment …) a later item replaces an equal earlier one.
void remove_repeated(Node& root, Report& report);

}  // namespace compose::model
