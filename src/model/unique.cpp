// Lists whose items have an identity: a later item takes the place of an equal earlier one.
#include <unordered_map>

#include "model/hints.h"
#include "model/interpolate.h"
#include "model/merge.h"
#include "model/path.h"
#include "model/short_forms.h"

namespace compose::model {

namespace {

enum class Identity : uint8_t { key_value, device, config, secret, env_file, expose, port, volume };

const PatternTable<Identity>& identities() {
    using enum Identity;
    static const PatternTable<Identity> table = {
        {"networks.*.labels", key_value},
        {"networks.*.ipam.options", key_value},
        {"volumes.*.labels", key_value},
        {"services.*.annotations", key_value},
        {"services.*.build.args", key_value},
        {"services.*.build.additional_contexts", key_value},
        {"services.*.build.platform", key_value},
        {"services.*.build.tags", key_value},
        {"services.*.build.labels", key_value},
        {"services.*.cap_add", key_value},
        {"services.*.cap_drop", key_value},
        {"services.*.devices", device},
        {"services.*.configs", config},
        {"services.*.deploy.labels", key_value},
        {"services.*.dns", key_value},
        {"services.*.dns_opt", key_value},
        {"services.*.dns_search", key_value},
        {"services.*.environment", key_value},
        {"services.*.env_file", env_file},
        {"services.*.expose", expose},
        {"services.*.labels", key_value},
        {"services.*.links", key_value},
        {"services.*.networks.*.aliases", key_value},
        {"services.*.networks.*.link_local_ips", key_value},
        {"services.*.ports", port},
        {"services.*.profiles", key_value},
        {"services.*.secrets", secret},
        {"services.*.sysctls", key_value},
        {"services.*.tmpfs", key_value},
        {"services.*.volumes", volume},
    };
    return table;
}

std::string text_of(const Node& node, std::string_view key, std::string fallback = {}) {
    const Node* found = node.find(key);
    return found != nullptr && found->is_scalar() && !found->is_null() ? scalar_text(*found) : fallback;
}

class Pass {
public:
    explicit Pass(Report& report) : report_(report) {}

    void visit(Node& node, Segments& path) {
        if (node.is_mapping()) {
            for (Node::Member& member : node.members()) {
                if (!member.value.is_mapping() && !member.value.is_sequence()) continue;
                path.push_back(member.key);
                visit(member.value, path);
                path.pop_back();
            }
        } else if (node.is_sequence()) {
            if (const Identity* identity = identities().find(path)) thin(node, *identity, path);
        }
    }

private:
    void thin(Node& list, Identity identity, const Segments& path) {
        Node::Sequence kept;
        std::unordered_map<std::string, size_t> known;
        for (size_t index = 0; index < list.items().size(); ++index) {
            Node& item = list.items()[index];
            auto key = identify(item, identity, path, index);
            if (!key) {
                kept.push_back(std::move(item));
                continue;
            }
            auto [found, fresh] = known.emplace(std::move(*key), kept.size());
            if (fresh) kept.push_back(std::move(item));
            else kept[found->second] = std::move(item);
        }
        list.items() = std::move(kept);
    }

    std::optional<std::string> identify(const Node& item, Identity identity, const Segments& path, size_t index) {
        switch (identity) {
            case Identity::key_value: {
                if (!item.is_string()) return wrong(item, path, index);
                return item.as_string().substr(0, item.as_string().find('='));
            }
            case Identity::expose:
                if (!item.is_string() && !item.is_number()) return wrong(item, path, index);
                return scalar_text(item);
            case Identity::env_file:
                if (item.is_mapping()) return text_of(item, "path");
                return scalar_text(item);
            case Identity::config:
            case Identity::secret: {
                std::string folder = identity == Identity::secret ? "/run/secrets/" : "/";
                if (item.is_string()) return folder + item.as_string();
                if (!item.is_mapping()) return std::nullopt;
                return text_of(item, "target", folder + text_of(item, "source"));
            }
            case Identity::volume: return volume_key(item, path, index);
            case Identity::device: return device_key(item, path, index);
            case Identity::port: return port_key(item, path, index);
        }
        return std::nullopt;
    }

    std::string where(const Segments& path, size_t index) const { return path_text(path) + "[" + std::to_string(index) + "]"; }

    std::optional<std::string> wrong(const Node& item, const Segments& path, size_t index) {
        report_.error(item.place, where(path, index), "must be a string, not " + with_article(item.type_name()),
                      item.is_number() || item.is_bool() ? "put it in quotes" : item.is_mapping() ? "write KEY=VALUE, or make the list a mapping" : "");
        return std::nullopt;
    }

    std::optional<std::string> volume_key(const Node& item, const Segments& path, size_t index) {
        if (item.is_mapping()) {
            const Node* target = item.find("target");
            if (target != nullptr && target->is_string()) return target->as_string();
            report_.error(item.place, where(path, index), "the volume is missing a mount target");
            return std::nullopt;
        }
        if (!item.is_string()) return std::nullopt;
        auto parsed = parse_volume(item.as_string());
        if (!parsed) return std::nullopt;  // the canonical form will say why
        return text_of(*parsed, "target");
    }

    std::optional<std::string> device_key(const Node& item, const Segments& path, size_t index) {
        if (item.is_mapping()) {
            const Node* target = item.find("target");
            if (target != nullptr && target->is_string()) return target->as_string();
            report_.error(item.place, where(path, index), "the device is missing a mount target");
            return std::nullopt;
        }
        if (!item.is_string()) return std::nullopt;
        std::string_view text = item.as_string();
        size_t colon = text.find(':');
        std::string_view target = text;
        if (colon != std::string_view::npos) target = text.substr(colon + 1, text.find(':', colon + 1) - colon - 1);
        return std::string(target);
    }

    std::optional<std::string> port_key(const Node& item, const Segments& path, size_t index) {
        if (!item.is_mapping()) return scalar_text(item);
        const Node* target = item.find("target");
        if (target == nullptr || !target->is_int()) {
            report_.error(item.place, where(path, index), "the port is missing a target port");
            return std::nullopt;
        }
        return text_of(item, "host_ip", "0.0.0.0") + ":" + text_of(item, "published") + ":" + scalar_text(*target) + "/" +
               text_of(item, "protocol", "tcp");
    }

    Report& report_;
};

}  // namespace

void remove_repeated(Node& root, Report& report) {
    Segments path;
    Pass(report).visit(root, path);
}

}  // namespace compose::model
