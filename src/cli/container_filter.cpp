#include "cli/container_filter.h"

#include <regex.h>

#include "base/text.h"
#include "cli/container_text.h"
#include "cli/when.h"

namespace compose::cli {
namespace {

/// A POSIX extended expression, as near to Go's as libc has it; what is none matches as plain text.
bool matches_pattern(const std::string& pattern, const std::string& text) {
    regex_t compiled;
    if (regcomp(&compiled, pattern.c_str(), REG_EXTENDED | REG_NOSUB) != 0) return text.find(pattern) != std::string::npos;
    bool found = regexec(&compiled, text.c_str(), 0, nullptr, 0) == 0;
    regfree(&compiled);
    return found;
}

bool has_label(const engine::Labels& labels, const std::string& wanted) {
    auto [name, value] = base::cut(wanted, '=');
    auto found = labels.find(name);
    return found != labels.end() && (!value || *value == found->second);
}

bool has_port(const engine::ContainerInfo& container, const std::string& wanted, bool published) {
    auto [range, protocol] = base::cut(wanted, '/');
    auto [first_text, last_text] = base::cut(range, '-');
    auto first = base::parse_int(first_text), last = last_text ? base::parse_int(*last_text) : first;
    if (!first || !last) return false;
    for (const auto& port : publishers(container)) {
        uint16_t number = published ? port.published : port.target;
        if (number && number >= *first && number <= *last && port.protocol == protocol.value_or("tcp")) return true;
    }
    return false;
}

bool uses_network(const engine::ContainerInfo& container, const std::string& wanted) {
    if (container.spec.network_mode == wanted) return true;
    for (const auto& endpoint : container.spec.endpoints)
        if (endpoint.network == wanted) return true;
    for (const auto& endpoint : container.endpoints)
        if (endpoint.network_id.starts_with(wanted)) return true;
    return false;
}

bool uses_volume(const engine::ContainerInfo& container, const std::string& wanted) {
    for (const auto& mount : container.spec.mounts)
        if (mount.source == wanted || mount.target == wanted) return true;
    return false;
}

/// The image itself, or one made from it: its layers begin with those of the other.
Result<bool> descends(engine::Engine& engine, const engine::ContainerInfo& container, const std::string& wanted) {
    auto ancestor = engine.image(wanted);
    if (!ancestor) return container.spec.image == wanted;
    if (ancestor->id == container.spec.image_id) return true;
    auto own = engine.image(container.spec.image_id);
    if (!own || own->layers.size() < ancestor->layers.size()) return false;
    return std::equal(ancestor->layers.begin(), ancestor->layers.end(), own->layers.begin());
}

Result<engine::Time> created_of(const std::vector<engine::ContainerInfo>& all, const std::string& name) {
    for (const auto& other : all)
        if (other.spec.name == name || other.id.starts_with(name)) return other.created;
    return fail(Code::not_found, "No such container: " + base::printable(name));
}

std::string health_word(const engine::ContainerInfo& container) { return engine::to_text(container.state.health); }

}  // namespace

const std::vector<std::string>& ContainerMatch::all_keys() {
    static const std::vector<std::string> kKeys = {"ancestor", "before", "exited", "expose", "health", "id", "label", "name", "network", "publish", "since", "status", "volume"};
    return kKeys;
}

Result<ContainerMatch> ContainerMatch::parse(const std::vector<std::string>& filters, const std::vector<std::string>& allowed) {
    ContainerMatch match;
    for (const std::string& filter : filters) {
        auto [key, value] = base::cut(filter, '=');
        if (!value) return fail(Code::invalid, "invalid argument " + base::quote(filter) + " for \"-f, --filter\" flag: bad format of filter (expected name=value)");
        if (key == "label!" || std::find(allowed.begin(), allowed.end(), key) != allowed.end()) {
            match.filters_[key].push_back(*value);
            continue;
        }
        return fail(Code::invalid, "invalid filter '" + base::printable(key) + "': there are " + base::join(allowed, ", "));
    }
    for (const std::string& state : match.filters_["status"]) {
        static const std::vector<std::string> kStates = {"created", "running", "paused", "restarting", "removing", "exited", "dead"};
        if (std::find(kStates.begin(), kStates.end(), state) == kStates.end()) return fail(Code::invalid, "invalid filter 'status=" + base::printable(state) + "'");
    }
    std::erase_if(match.filters_, [](const auto& entry) { return entry.second.empty(); });
    return match;
}

Result<bool> ContainerMatch::matches(engine::Engine& engine, const std::vector<engine::ContainerInfo>& all, const engine::ContainerInfo& container) const {
    for (const auto& [key, values] : filters_) {
        bool any = false, every = true;
        for (const std::string& value : values) {
            bool one = false;
            if (key == "id") {
                one = matches_pattern(value, container.id);
            } else if (key == "name") {
                one = matches_pattern(value, container.spec.name) || matches_pattern(value, "/" + container.spec.name);
            } else if (key == "label" || key == "label!") {
                one = has_label(container.spec.labels, value) == (key == "label");
            } else if (key == "status") {
                one = value == engine::to_text(container.state.status);
            } else if (key == "exited") {
                one = container.state.status == engine::ContainerStatus::exited && base::parse_int(value) == container.state.exit_code;
            } else if (key == "health") {
                one = value == health_word(container);
            } else if (key == "ancestor") {
                one = TRY(descends(engine, container, value));
            } else if (key == "before") {
                one = container.created < TRY(created_of(all, value));
            } else if (key == "since") {
                one = container.created > TRY(created_of(all, value));
            } else if (key == "until") {
                one = container.created < TRY(parse_when(value));
            } else if (key == "network") {
                one = uses_network(container, value);
            } else if (key == "volume") {
                one = uses_volume(container, value);
            } else if (key == "publish" || key == "expose") {
                one = has_port(container, value, key == "publish");
            }
            any = any || one;
            every = every && one;
        }
        // several labels must all be there; of the others one is enough
        if (key.starts_with("label") ? !every : !any) return false;
    }
    return true;
}

}  // namespace compose::cli
