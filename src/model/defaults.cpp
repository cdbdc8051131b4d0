#include "base/text.h"
#include "model/canonical.h"
#include "model/interpolate.h"
#include "model/short_forms.h"

namespace compose::model {

namespace {

template <class Visit>
void each_member(Node* mapping, Visit visit) {
    if (mapping == nullptr || !mapping->is_mapping()) return;
    for (Node::Member& member : mapping->members()) visit(member.key, member.value);
}
template <class Visit>
void each_item(Node* list, Visit visit) {
    if (list == nullptr || !list->is_sequence()) return;
    for (Node& item : list->items()) visit(item);
}

void default_to(Node& mapping, std::string_view key, Node value) {
    if (!mapping.is_mapping() || mapping.find(key) != nullptr) return;
    value.place = mapping.place;
    mapping.set(key, std::move(value));
}

void device_requests(Node* list) {
    each_item(list, [](Node& request) {
        if (request.is_mapping() && request.find("device_ids") == nullptr) default_to(request, "count", "all");
    });
}

Node* descend(Node* node, std::initializer_list<std::string_view> keys) {
    for (std::string_view key : keys) node = node != nullptr ? node->find(key) : nullptr;
    return node;
}

const Node* descend(const Node* node, std::initializer_list<std::string_view> keys) {
    for (std::string_view key : keys) node = node != nullptr ? node->find(key) : nullptr;
    return node;
}

}  // namespace

void set_defaults(Node& root) {
    each_member(root.find("services"), [](const std::string&, Node& service) {
        if (Node* build = service.find("build")) default_to(*build, "context", ".");
        each_item(service.find("secrets"), [](Node& secret) {
            const Node* source = secret.find("source");
            if (source != nullptr && source->is_string()) default_to(secret, "target", "/run/secrets/" + source->as_string());
        });
        each_item(service.find("ports"), [](Node& port) {
            default_to(port, "protocol", "tcp");
            default_to(port, "mode", "ingress");
        });
        device_requests(descend(&service, {"deploy", "resources", "reservations", "devices"}));
        device_requests(service.find("gpus"));
    });
}

// ---- what the schema cannot say -----------------------------------------------------------------------------------------

namespace {

void check_external(const Node& resource, const std::string& path, Report& report) {
    const Node* external = resource.find("external");
    if (external == nullptr || !external->is_bool() || !external->as_bool()) return;
    for (const Node::Member& member : resource.members()) {
        if (member.key == "name" || member.key == "external" || member.key.starts_with("x-")) continue;
        report.error(member.place, path, "conflicting parameters \"external\" and " + base::quote(member.key) + " specified");
    }
}

void check_file_object(const Node& resource, const std::string& path, const std::vector<std::string>& sources, Report& report) {
    if (!resource.is_mapping()) return;
    size_t count = 0;
    Place last = resource.place;
    for (const std::string& source : sources) {
        const Node::Member* member = resource.find_member(source);
        if (member == nullptr) continue;
        ++count;
        last = member->place;
    }
    if (count > 1) report.error(last, path, base::join(sources, "|") + " attributes are mutually exclusive");
    if (count == 0 && resource.find("driver") == nullptr && resource.find("external") == nullptr) {
        report.error(resource.place, path, "one of " + base::join(sources, "|") + " must be set");
    }
}

void check_device_requests(const Node* list, const std::string& path, Report& report) {
    if (list == nullptr || !list->is_sequence()) return;
    for (size_t index = 0; index < list->items().size(); ++index) {
        const Node& request = list->items()[index];
        if (request.find("count") != nullptr && request.find("device_ids") != nullptr) {
            report.error(request.place, path + "[" + std::to_string(index) + "]", "\"count\" and \"device_ids\" attributes are exclusive");
        }
    }
}

}  // namespace

void check_attributes(const Node& root, Report& report) {
    auto each = [&](const char* kind, auto visit) {
        const Node* mapping = root.find(kind);
        if (mapping == nullptr || !mapping->is_mapping()) return;
        for (const Node::Member& member : mapping->members()) visit(member.value, std::string(kind) + "." + member.key);
    };
    each("volumes", [&](const Node& volume, const std::string& path) {
        if (volume.is_mapping()) check_external(volume, path, report);
    });
    each("configs", [&](const Node& config, const std::string& path) {
        check_file_object(config, path, {"file", "environment", "content"}, report);
    });
    each("secrets", [&](const Node& secret, const std::string& path) { check_file_object(secret, path, {"file", "environment"}, report); });
    each("services", [&](const Node& service, const std::string& path) {
        if (const Node* ports = service.find("ports"); ports != nullptr && ports->is_sequence()) {
            for (size_t index = 0; index < ports->items().size(); ++index) {
                const Node* ip = ports->items()[index].find("host_ip");
                if (ip == nullptr || !ip->is_string() || ip->as_string().empty() || is_ip_address(ip->as_string())) continue;
                report.error(ip->place, path + ".ports[" + std::to_string(index) + "].host_ip", "invalid ip address: " + ip->as_string());
            }
        }
        if (const Node* watch = descend(&service, {"develop", "watch"}); watch != nullptr && watch->is_sequence()) {
            for (size_t index = 0; index < watch->items().size(); ++index) {
                const Node* file = watch->items()[index].find("path");
                if (file == nullptr || !file->is_string() || !file->as_string().empty()) continue;
                report.error(file->place, path + ".develop.watch[" + std::to_string(index) + "].path", "value can't be blank");
            }
        }
        check_device_requests(descend(&service, {"deploy", "resources", "reservations", "devices"}),
                              path + ".deploy.resources.reservations.devices", report);
        check_device_requests(service.find("gpus"), path + ".gpus", report);
    });
}

}  // namespace compose::model
