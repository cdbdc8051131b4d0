// What a file implies but does not say (compose-spec: default network, resource names, implicit dependencies).
#include <unordered_set>

#include "base/text.h"
#include "model/canonical.h"
#include "model/interpolate.h"
#include "model/short_forms.h"

namespace compose::model {

namespace {

constexpr std::string_view kServicePrefix = "service:", kContainerPrefix = "container:";

/// Names without a value get it from the caller; without `keep` those that it does not know are dropped.
void resolve_values(Node* node, const Variables& variables, bool keep) {
    if (node == nullptr) return;
    if (node->is_mapping()) {
        std::erase_if(node->members(), [&](Node::Member& member) {
            if (!member.value.is_null()) return false;
            auto found = variables.find(member.key);
            if (found == variables.end()) return !keep;
            Node value(found->second);
            value.place = member.place;
            member.value = std::move(value);
            return false;
        });
    } else if (node->is_sequence()) {
        std::erase_if(node->items(), [&](Node& item) {
            if (!item.is_string() || item.as_string().find('=') != std::string::npos) return false;
            auto found = variables.find(item.as_string());
            if (found == variables.end()) return !keep;
            item.as_string() += "=" + found->second;
            return false;
        });
    }
}

void depend(Node& service, std::string_view on, bool restart, Place place, std::unordered_set<std::string>& known) {
    Node& dependencies = service.at("depends_on");
    if (!dependencies.is_mapping()) {
        dependencies = Node::mapping();
        dependencies.place = place;
    }
    if (known.empty()) {
        for (const Node::Member& member : dependencies.members()) known.insert(member.key);
    }
    if (on.empty() || !known.insert(std::string(on)).second) return;
    Node entry = Node::mapping();
    entry.set("condition", "service_started");
    entry.set("restart", restart);
    entry.set("required", true);
    entry.place = place;
    dependencies.members().push_back({std::string(on), std::move(entry), place});
}

void implied_dependencies(Node& service) {
    std::unordered_set<std::string> known;
    // Copies: what is added to the service moves its members.
    auto list = [&](std::string_view key) {
        const Node* node = service.find(key);
        return node != nullptr && node->is_sequence() ? node->items() : Node::Sequence();
    };
    for (const Node& link : list("links")) {
        if (!link.is_string()) continue;
        std::vector<std::string> parts = base::split(link.as_string(), ':');
        depend(service, parts.size() == 2 ? parts[0] : link.as_string(), true, link.place, known);
    }
    for (const char* key : {"network_mode", "ipc", "pid", "uts", "cgroup"}) {
        const Node* mode = service.find(key);
        if (mode == nullptr || !mode->is_string() || !mode->as_string().starts_with(kServicePrefix)) continue;
        std::string name = mode->as_string().substr(kServicePrefix.size());
        Place place = mode->place;
        depend(service, name, true, place, known);
    }
    for (const Node& volume : list("volumes_from")) {
        if (!volume.is_string() || volume.as_string().starts_with(kContainerPrefix)) continue;
        depend(service, base::split(volume.as_string(), ':')[0], false, volume.place, known);
    }
}

void default_networks(Node& root) {
    bool used = false;
    if (Node* services = root.find("services"); services != nullptr && services->is_mapping()) {
        for (Node::Member& member : services->members()) {
            Node& service = member.value;
            if (!service.is_mapping() || service.find("provider") != nullptr || service.find("network_mode") != nullptr) continue;
            Node& networks = service.at("networks");
            if (!networks.is_mapping() || networks.members().empty()) {
                Place place = networks.place ? networks.place : member.place;
                networks = Node::mapping();
                networks.place = place;
                networks.members().push_back({"default", Node(), place});
                used = true;
            } else if (networks.find("default") != nullptr) {
                used = true;
            }
        }
    }
    Node* networks = root.find("networks");
    bool none = networks == nullptr || !networks->is_mapping();
    if (!used || (!none && networks->find("default") != nullptr)) return;
    if (none) networks = &(root.set("networks", Node::mapping()));
    networks->set("default", Node());
}

void name_resources(Node& root, const std::string& project) {
    for (const char* kind : {"networks", "volumes", "configs", "secrets"}) {
        Node* resources = root.find(kind);
        if (resources == nullptr || !resources->is_mapping()) continue;
        for (Node::Member& member : resources->members()) {
            Node& resource = member.value;
            if (resource.is_null()) {
                Place place = resource.place;
                resource = Node::mapping();
                resource.place = place;
            }
            if (!resource.is_mapping()) continue;
            const Node* name = resource.find("name");
            if (name != nullptr && !name->is_null()) continue;
            const Node* external = resource.find("external");
            bool is_external = external != nullptr && external->is_bool() && external->as_bool();
            resource.set("name", is_external ? member.key : project + "_" + member.key).place = member.place;
        }
    }
}

}  // namespace

void resolve_names(Node& root, const Variables& variables) {
    if (Node* services = root.find("services"); services != nullptr && services->is_mapping()) {
        for (Node::Member& member : services->members()) {
            if (Node* environment = member.value.find("environment"); environment != nullptr && environment->is_sequence()) {
                resolve_values(environment, variables, true);
            }
        }
    }
    // A hidden member: an included file may have variables of its own, which must not be lost. `config` does not print it.
    for (const char* kind : {"configs", "secrets"}) {
        Node* objects = root.find(kind);
        if (objects == nullptr || !objects->is_mapping()) continue;
        for (Node::Member& member : objects->members()) {
            const Node* environment = member.value.find("environment");
            if (environment == nullptr || !environment->is_string() || member.value.find(kHiddenContent) != nullptr) continue;
            auto found = variables.find(environment->as_string());
            if (found != variables.end()) member.value.set(kHiddenContent, found->second);
        }
    }
}

void normalize(Node& root, const std::string& project, const Variables& variables) {
    default_networks(root);
    if (Node* services = root.find("services"); services != nullptr && services->is_mapping()) {
        for (Node::Member& member : services->members()) {
            Node& service = member.value;
            if (!service.is_mapping()) continue;
            if (Node* policy = service.find("pull_policy"); policy != nullptr && *policy == Node("if_not_present")) *policy = Node("missing");
            if (Node* build = service.find("build"); build != nullptr && build->is_mapping()) {
                if (build->find("context") == nullptr) build->set("context", ".").place = build->place;
                if (build->find("dockerfile") == nullptr && build->find("dockerfile_inline") == nullptr) {
                    build->set("dockerfile", "Dockerfile").place = build->place;
                }
                resolve_values(build->find("args"), variables, false);
            }
            resolve_values(service.find("environment"), variables, true);
            implied_dependencies(service);
            if (Node* dependencies = service.find("depends_on"); dependencies != nullptr && dependencies->size() == 0) service.erase("depends_on");
            if (Node* volumes = service.find("volumes"); volumes != nullptr && volumes->is_sequence()) {
                for (Node& volume : volumes->items()) {
                    Node* target = volume.find("target");
                    if (target != nullptr && target->is_string()) target->as_string() = clean_path(target->as_string());
                }
            }
        }
    }
    name_resources(root, project);
}

}  // namespace compose::model
