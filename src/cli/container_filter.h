#pragma once
// `--filter` of `container ls` and `container prune`: keys as docker's; values of one key are alternatives, keys narrow.
#include <map>
#include <string>
#include <vector>

#include "cli/context.h"

namespace compose::cli {

class ContainerMatch {
public:
    /// `key=value` each; only `allowed` keys. An error names those that there are.
    static Result<ContainerMatch> parse(const std::vector<std::string>& filters, const std::vector<std::string>& allowed);
    /// `all`: every container, for before= and since=.
    Result<bool> matches(engine::Engine& engine, const std::vector<engine::ContainerInfo>& all, const engine::ContainerInfo& container) const;
    /// Stopped ones are asked for by status=, exited= and the like.
    bool wants_all() const { return filters_.contains("status") || filters_.contains("exited"); }
    static const std::vector<std::string>& all_keys();

private:
    std::map<std::string, std::vector<std::string>> filters_;
};

}  // namespace compose::cli
