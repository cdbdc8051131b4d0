#include "model/interpolate.h"

#include <charconv>
#include <cmath>
#include <cstdlib>

#include "base/text.h"
#include "model/path.h"

namespace compose::model {

namespace {

enum class Cast : uint8_t { integer, number, boolean };

/// Attributes whose interpolated text becomes a number or a boolean before the schema sees it.
const PatternTable<Cast>& casts() {
    using enum Cast;
    static const PatternTable<Cast> table = {
        {"services.*.cpu_count", integer},
        {"services.*.cpu_percent", number},
        {"services.*.cpu_period", integer},
        {"services.*.cpu_quota", integer},
        {"services.*.cpu_rt_period", integer},
        {"services.*.cpu_rt_runtime", integer},
        {"services.*.cpus", number},
        {"services.*.cpu_shares", integer},
        {"services.*.init", boolean},
        {"services.*.deploy.replicas", integer},
        {"services.*.deploy.update_config.parallelism", integer},
        {"services.*.deploy.update_config.max_failure_ratio", number},
        {"services.*.deploy.rollback_config.parallelism", integer},
        {"services.*.deploy.rollback_config.max_failure_ratio", number},
        {"services.*.deploy.restart_policy.max_attempts", integer},
        {"services.*.deploy.placement.max_replicas_per_node", integer},
        {"services.*.healthcheck.retries", integer},
        {"services.*.healthcheck.disable", boolean},
        {"services.*.oom_kill_disable", boolean},
        {"services.*.oom_score_adj", integer},
        {"services.*.pids_limit", integer},
        {"services.*.ports.[].target", integer},
        {"services.*.privileged", boolean},
        {"services.*.read_only", boolean},
        {"services.*.scale", integer},
        {"services.*.stdin_open", boolean},
        {"services.*.tty", boolean},
        {"services.*.ulimits.*", integer},
        {"services.*.ulimits.*.hard", integer},
        {"services.*.ulimits.*.soft", integer},
        {"services.*.volumes.[].read_only", boolean},
        {"services.*.volumes.[].volume.nocopy", boolean},
        {"networks.*.external", boolean},
        {"networks.*.internal", boolean},
        {"networks.*.attachable", boolean},
        {"volumes.*.external", boolean},
        {"secrets.*.external", boolean},
        {"configs.*.external", boolean},
    };
    return table;
}

constexpr size_t kMaxGrown = 64u << 20;  ///< bytes of all texts that variables are put into

std::optional<Node> cast_text(Cast cast, const std::string& text) {
    switch (cast) {
        case Cast::integer: {
            std::string_view digits = text;
            if (digits.starts_with('+')) digits.remove_prefix(1);
            auto value = base::parse_int(digits);
            if (!value || text.starts_with("+-")) return std::nullopt;
            return Node(*value);
        }
        case Cast::number: {
            if (text.empty() || text.find_first_of(" \t\n") != std::string::npos) return std::nullopt;
            char* end = nullptr;
            double value = std::strtod(text.c_str(), &end);
            if (end != text.c_str() + text.size()) return std::nullopt;
            return Node(value);
        }
        case Cast::boolean: {
            std::string lower = base::to_lower(text);
            if (lower == "y" || lower == "yes" || lower == "true" || lower == "on") return Node(true);
            if (lower == "n" || lower == "no" || lower == "false" || lower == "off") return Node(false);
            return std::nullopt;
        }
    }
    return std::nullopt;
}

}  // namespace

std::string path_text(const Segments& path) {
    std::string out;
    for (std::string_view segment : path) {
        if (!out.empty() && !segment.starts_with('[')) out += '.';
        out += segment;
    }
    return out;
}

void Interpolator::run(Node& root) {
    std::vector<std::string_view> path;
    visit(root, path);
}

void Interpolator::visit(Node& node, std::vector<std::string_view>& path) {
    if (stopped_ || node.tag == Node::Tag::reset) return;  // only takes away: what it holds is of no account
    if (node.is_string()) {
        apply(node, path);
    } else if (node.is_mapping()) {
        for (Node::Member& member : node.members()) {
            path.push_back(member.key);
            visit(member.value, path);
            path.pop_back();
        }
    } else if (node.is_sequence()) {
        for (size_t index = 0; index < node.items().size(); ++index) {
            std::string segment = "[" + std::to_string(index) + "]";
            path.push_back(segment);
            visit(node.items()[index], path);
            path.pop_back();
        }
    }
}

void Interpolator::apply(Node& node, const std::vector<std::string_view>& path) {
    const std::string& text = node.as_string();
    std::string value = text;
    bool uses = text.find('$') != std::string::npos;
    if (uses) {
        auto done = substitute(text, lookup_, [&](std::string_view name) { unset_[std::string(name)].push_back(node.place); });
        if (!done) {
            if (done.error().required) {
                report_.error(node.place, path_text(path), done.error().message);
            } else {
                report_.error(node.place, path_text(path),
                              "invalid interpolation format " + base::quote(done.error().message),
                              "you may need to escape any $ with another $");
            }
            return;
        }
        value = std::move(*done);
        grown_ += value.size();
        if (grown_ > kMaxGrown) {
            report_.error(node.place, path_text(path), "variables make the file larger than " + std::to_string(kMaxGrown >> 20) + " MiB");
            stopped_ = true;
            return;
        }
    }
    std::optional<Node> cast;
    if (const Cast* kind = casts().find(path)) {
        cast = cast_text(*kind, value);
        if (!cast) {
            constexpr const char* kNames[] = {"an integer", "a number", "true or false"};
            std::string from = uses ? " (from " + base::quote(text) + ")" : "";
            report_.error(node.place, path_text(path),
                          "must be " + std::string(kNames[static_cast<size_t>(*kind)]) + ", not " + base::quote(value) + from);
            return;
        }
    }
    if (!uses && !cast) return;
    Node changed = cast ? std::move(*cast) : Node(std::move(value));
    changed.place = node.place;
    changed.tag = node.tag == Node::Tag::timestamp ? Node::Tag::none : node.tag;
    changed.quoted = node.quoted;
    changed.before = node.before;
    if (tell_ && uses) {
        auto origin = std::make_shared<Origin>();
        origin->place = node.place;
        origin->text = text;
        for (const VariableUse& use : variables_of(text)) origin->uses.push_back(tell_(use.name));
        origin->before = node.before;
        changed.before = std::move(origin);
    }
    node = std::move(changed);
}

std::string number_text(double value) {
    if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
    if (std::isnan(value)) return "NaN";
    char buffer[64];
    double size = std::fabs(value);
    bool exponent = size != 0 && (size < 1e-4 || size >= 1e21);
    auto [end, error] = std::to_chars(buffer, buffer + sizeof buffer, value,
                                      exponent ? std::chars_format::scientific : std::chars_format::fixed);
    return std::string(buffer, error == std::errc() ? end : buffer);
}

std::string scalar_text(const Node& node) {
    if (node.is_string()) return node.as_string();
    if (node.is_bool()) return node.as_bool() ? "true" : "false";
    if (node.is_int()) return std::to_string(node.as_int());
    if (node.is_double()) return number_text(node.as_double());
    return {};
}

}  // namespace compose::model
