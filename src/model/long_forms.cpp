#include <functional>

#include "base/text.h"
#include "model/canonical.h"
#include "model/interpolate.h"
#include "model/short_forms.h"

namespace compose::model {

namespace {

constexpr size_t kMaxPorts = 70'000;  ///< of one file: all that there are in one range, and some

/// Gives `node` and what is made below it the place of the text it stood in.
void place_all(Node& node, Place place, const std::shared_ptr<const Origin>& before) {
    if (!node.place) node.place = place;
    if (!node.before) node.before = before;
    if (node.is_mapping()) {
        for (Node::Member& member : node.members()) {
            if (!member.place) member.place = place;
            place_all(member.value, place, before);
        }
    } else if (node.is_sequence()) {
        for (Node& item : node.items()) place_all(item, place, before);
    }
}

class LongForms {
public:
    LongForms(Report& report, bool lenient) : report_(report), lenient_(lenient) {}

    void run(Node& root) {
        each(root.find("services"), [this](const std::string& name, Node& service) {
            if (service.is_mapping()) this->service(service, "services." + name);
        });
        for (const char* kind : {"volumes", "networks", "secrets", "configs"}) {
            each(root.find(kind), [&](const std::string& name, Node& resource) {
                external(resource, name, std::string(kind) + "." + name);
            });
        }
    }

private:
    static void each(Node* mapping, const std::function<void(const std::string&, Node&)>& visit) {
        if (mapping == nullptr || !mapping->is_mapping()) return;
        for (Node::Member& member : mapping->members()) visit(member.key, member.value);
    }
    static void each_item(Node* list, const std::function<void(size_t, Node&)>& visit) {
        if (list == nullptr || !list->is_sequence()) return;
        for (size_t index = 0; index < list->items().size(); ++index) visit(index, list->items()[index]);
    }
    static std::string item_path(const std::string& path, size_t index) { return path + "[" + std::to_string(index) + "]"; }

    /// Replaces a value by its long form, which keeps the place.
    static void become(Node& node, Node value) {
        place_all(value, node.place, node.before);
        value.tag = node.tag;
        node = std::move(value);
    }

    static void string_to_list(Node* node) {
        if (node == nullptr || !node->is_string()) return;
        Node list = Node::sequence();
        list.push(*node);
        become(*node, std::move(list));
    }

    static void list_to_mapping(Node* node) {
        if (node == nullptr || !node->is_sequence()) return;
        Node mapping = Node::mapping();
        MemberIndex index(mapping, node->size());
        for (const Node& item : node->items()) {
            if (item.is_string() && index.find(item.as_string()) == nullptr) index.push({item.as_string(), Node(), item.place});
        }
        become(*node, std::move(mapping));
    }

    void service(Node& service, const std::string& path) {
        if (Node* build = service.find("build")) this->build(*build, path + ".build");
        depends_on(service.find("depends_on"));
        string_to_list(service.find("env_file"));
        each_item(service.find("env_file"), [](size_t, Node& file) {
            if (file.is_string()) {
                Node entry = Node::mapping();
                entry.set("path", file);
                entry.set("required", true);
                become(file, std::move(entry));
            } else if (file.is_mapping() && file.find("required") == nullptr) {
                file.set("required", true).place = file.place;
            }
        });
        string_to_list(service.find("label_file"));
        string_to_list(service.find("dns"));
        if (Node* dns = service.find("dns"); dns != nullptr && dns->is_sequence()) {
            std::erase_if(dns->items(), [](const Node& item) { return item.is_string() && item.as_string().empty(); });
            if (dns->items().empty()) service.erase("dns");
        }
        if (Node* gpus = service.find("gpus"); gpus != nullptr && gpus->is_string()) {
            Node request = Node::mapping();
            request.set("count", *gpus);
            Node list = Node::sequence();
            list.push(std::move(request));
            become(*gpus, std::move(list));
        }
        list_to_mapping(service.find("networks"));
        list_to_mapping(service.find("models"));
        each_item(service.find("volumes"), [&](size_t index, Node& volume) { this->volume(volume, item_path(path + ".volumes", index)); });
        each_item(service.find("devices"), [&](size_t index, Node& device) { this->device(device, item_path(path + ".devices", index)); });
        for (const char* kind : {"secrets", "configs"}) each_item(service.find(kind), [](size_t, Node& mount) { file_mount(mount); });
        if (Node* ports = service.find("ports")) this->ports(*ports, path + ".ports");
    }

    /// A later entry of one name takes the place of the earlier.
    static void put(MemberIndex& index, const std::string& name, Node value, Place place) {
        value.place = place;
        if (Node::Member* known = index.find(name)) known->value = std::move(value);
        else index.push({name, std::move(value), place});
    }

    static void file_mount(Node& mount) {
        if (!mount.is_string()) return;
        Node entry = Node::mapping();
        entry.set("source", mount);
        become(mount, std::move(entry));
    }

    void build(Node& build, const std::string& path) {
        if (build.is_string()) {
            Node mapping = Node::mapping();
            mapping.set("context", build);
            become(build, std::move(mapping));
        }
        if (!build.is_mapping()) return;
        each_item(build.find("secrets"), [](size_t, Node& mount) { file_mount(mount); });
        string_to_list(build.find("no_cache_filter"));
        if (Node* contexts = build.find("additional_contexts"); contexts != nullptr && contexts->is_sequence()) {
            Node mapping = Node::mapping();
            MemberIndex index(mapping, contexts->size());
            for (const Node& item : contexts->items()) {
                if (!item.is_string()) continue;
                auto [name, value] = base::cut(item.as_string(), '=');
                put(index, name, value ? Node(*value) : Node(), item.place);
            }
            become(*contexts, std::move(mapping));
        }
        if (Node* ssh = build.find("ssh"); ssh != nullptr && ssh->is_sequence()) {
            Node mapping = Node::mapping();
            MemberIndex known(mapping, ssh->size());
            for (size_t index = 0; index < ssh->items().size(); ++index) {
                const Node& item = ssh->items()[index];
                if (!item.is_string()) continue;
                auto [id, file] = base::cut(item.as_string(), '=');
                if (!file && id != "default") {
                    report_.error(item.place, item_path(path + ".ssh", index), "invalid ssh key " + base::quote(item.as_string()),
                                  "write default or ID=PATH");
                }
                put(known, id, file ? Node(*file) : Node(), item.place);
            }
            become(*ssh, std::move(mapping));
        }
    }

    static void depends_on(Node* node) {
        if (node == nullptr) return;
        if (node->is_sequence()) {
            Node mapping = Node::mapping();
            MemberIndex index(mapping, node->size());
            for (const Node& item : node->items()) {
                if (!item.is_string() || index.find(item.as_string()) != nullptr) continue;
                Node entry = Node::mapping();
                entry.set("condition", "service_started");
                entry.set("required", true);
                place_all(entry, item.place, item.before);
                index.push({item.as_string(), std::move(entry), item.place});
            }
            become(*node, std::move(mapping));
        } else if (node->is_mapping()) {
            for (Node::Member& member : node->members()) {
                if (!member.value.is_mapping()) continue;
                if (member.value.find("required") == nullptr) member.value.set("required", true).place = member.place;
            }
        }
    }

    void volume(Node& volume, const std::string& path) {
        if (!volume.is_string()) return;
        auto parsed = parse_volume(volume.as_string());
        if (parsed) return become(volume, std::move(*parsed));
        if (!lenient_) report_.error(volume.place, path, parsed.error(), "write [SOURCE:]TARGET[:MODE]");
    }

    void device(Node& device, const std::string& path) {
        if (!device.is_string()) return;
        std::vector<std::string> parts = base::split(device.as_string(), ':');
        if (parts.size() > 3) {
            if (!lenient_) report_.error(device.place, path, "confusing device mapping " + base::quote(device.as_string()), "use the long form");
            return;
        }
        Node mapping = Node::mapping();
        mapping.set("source", parts[0]);
        mapping.set("target", parts.size() > 1 && !parts[1].empty() ? parts[1] : parts[0]);
        mapping.set("permissions", parts.size() > 2 ? parts[2] : "rwm");
        become(device, std::move(mapping));
    }

    void ports(Node& ports, const std::string& path) {
        if (!ports.is_sequence() || all_ports_ > kMaxPorts) return;
        Node::Sequence out;
        for (size_t index = 0; index < ports.items().size(); ++index) {
            Node& item = ports.items()[index];
            if (!item.is_string() && !item.is_int()) {
                if (item.is_scalar()) {
                    report_.error(item.place, item_path(path, index), "invalid type for a port: " + std::string(item.type_name()),
                                  "put it in quotes");
                }
                out.push_back(std::move(item));
                continue;
            }
            if (out.size() > kMaxPorts) continue;
            auto parsed = parse_port(scalar_text(item));
            if (!parsed) {
                if (!lenient_) report_.error(item.place, item_path(path, index), parsed.error(), "write [[IP:]HOST:]CONTAINER[/PROTOCOL]");
                out.push_back(std::move(item));
                continue;
            }
            for (Node& port : *parsed) {
                place_all(port, item.place, item.before);
                out.push_back(std::move(port));
            }
        }
        all_ports_ += out.size();
        if (all_ports_ > kMaxPorts) {
            if (all_ports_ - out.size() <= kMaxPorts) {
                report_.error(ports.place, path, "more than " + std::to_string(kMaxPorts) + " ports after ranges are written out");
            }
            out.clear();
        }
        ports.items() = std::move(out);
    }

    void external(Node& resource, const std::string& name, const std::string& path) {
        if (!resource.is_mapping()) return;
        Node* external = resource.find("external");
        if (external == nullptr) return;
        if (external->is_mapping()) {
            Node old = std::move(*external);
            Node* old_name = old.find("name");
            *external = Node(true);
            external->place = old.place;
            if (old_name != nullptr) {
                report_.warning(old_name->place, path, "external.name is deprecated", "set name and external: true");
                const Node* own = resource.find("name");
                if (own != nullptr && !(*own == *old_name)) {
                    report_.error(old_name->place, path, "name and external.name conflict; only use name");
                    return;
                }
                if (own == nullptr) {
                    Place place = old_name->place;
                    resource.set("name", std::move(*old_name)).place = place;
                    return;
                }
            }
        }
        external = resource.find("external");
        bool is_external = external->is_bool() && external->as_bool();
        if (!is_external || resource.find("name") != nullptr) return;
        Place place = external->place;  // a copy: the new member may move the others
        resource.set("name", name).place = place;
    }

    Report& report_;
    bool lenient_;
    size_t all_ports_ = 0;
};

}  // namespace

void to_long_forms(Node& root, Report& report, bool lenient) { LongForms(report, lenient).run(root); }

}  // namespace compose::model
