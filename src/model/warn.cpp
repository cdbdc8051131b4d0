// Legal, but surely meant otherwise. A warning never changes what the file means.
#include <sys/stat.h>

#include <algorithm>
#include <set>

#include "base/text.h"
#include "model/check.h"
#include "model/interpolate.h"

namespace compose::model {

namespace {

bool is_old_bool(const Node& node) {
    if (!node.is_string() || node.quoted) return false;
    std::string text = base::to_lower(node.as_string());
    return text == "on" || text == "off" || text == "yes" || text == "no";
}

/// `22:22`: a number in base 60 for readers of YAML 1.1, among them older Compose tools (`60:60` just not, but say so).
bool is_base60(const Node& node) {
    if (!node.is_string() || node.quoted) return false;
    std::vector<std::string> parts = base::split(node.as_string(), ':');
    if (parts.size() < 2) return false;
    for (size_t at = 0; at < parts.size(); ++at) {
        auto number = base::parse_int(parts[at]);
        if (!number || *number < 0 || (at > 0 && *number > 60)) return false;
    }
    return true;
}

void warn_bools(const Node* mapping, const std::string& path, Report& report) {
    if (mapping == nullptr || !mapping->is_mapping()) return;
    for (const Node::Member& member : mapping->members()) {
        if (!is_old_bool(member.value)) continue;
        report.warning(member.value.place, path + "." + member.key,
                       "unquoted " + member.value.as_string() + " is the text " + base::quote(member.value.as_string()) + ", not a boolean",
                       "put it in quotes to say so");
    }
}

constexpr size_t kNeighbours = 50;  ///< publishers of one port that are looked at

struct Published {
    std::string service, path;
    const Port* port;
    std::pair<uint16_t, uint16_t> range;
};

bool addresses_meet(const std::string& a, const std::string& b) {
    auto any = [](const std::string& ip) { return ip.empty() || ip == "0.0.0.0" || ip == "::"; };
    return any(a) || any(b) || a == b;
}

/// Volumes that have nothing but a name, which a folder of the project has as well.
std::set<std::string> folders_named_as_volumes(const Project& project) {
    std::set<std::string> out;
    for (const auto& [name, volume] : project.volumes) {
        struct stat info{};
        bool plain = !volume.external && volume.driver.empty() && volume.driver_opts.empty();
        if (plain && ::stat((project.working_dir + "/" + name).c_str(), &info) == 0 && S_ISDIR(info.st_mode)) out.insert(name);
    }
    return out;
}

}  // namespace

void warn_about_text(const Node& root, Report& report) {
    const Node* services = root.find("services");
    if (services == nullptr || !services->is_mapping()) return;
    for (const Node::Member& member : services->members()) {
        const Node& service = member.value;
        if (!service.is_mapping()) continue;
        std::string path = "services." + member.key;
        warn_bools(service.find("environment"), path + ".environment", report);
        warn_bools(service.find("labels"), path + ".labels", report);
        if (const Node* build = service.find("build")) warn_bools(build->find("args"), path + ".build.args", report);
        if (const Node* ports = service.find("ports"); ports != nullptr && ports->is_sequence()) {
            for (size_t index = 0; index < ports->items().size(); ++index) {
                const Node& port = ports->items()[index];
                if (!is_base60(port)) continue;
                report.warning(port.place, path + ".ports[" + std::to_string(index) + "]",
                               "unquoted " + port.as_string() + " is a number in base 60 for YAML 1.1 readers", "put it in quotes");
            }
        }
    }
}

void warn_about(const Project& project, Report& report) {
    const Node* services = project.tree ? project.tree->find("services") : nullptr;
    std::vector<Published> published;
    std::set<std::string> folders = folders_named_as_volumes(project);
    for (const auto& [name, service] : project.services) {
        std::string path = "services." + name;
        const Node* node = services != nullptr ? services->find(name) : nullptr;
        const Node* ports = node != nullptr ? node->find("ports") : nullptr;
        auto port_node = [&](size_t index) -> const Node* {
            return ports != nullptr && ports->is_sequence() && index < ports->items().size() ? &ports->items()[index] : nullptr;
        };
        std::map<std::string, size_t> first_of;  // container port → its first entry
        for (size_t index = 0; index < service.ports.size(); ++index) {
            const Port& port = service.ports[index];
            auto range = port.published_range();
            if (range && range->first != 0) published.push_back({name, path + ".ports[" + std::to_string(index) + "]", &port, *range});
            // An override file that meant to move a port adds a second one.
            const Node* here = port_node(index);
            if (here == nullptr || port.published.empty()) continue;
            auto [known, fresh] = first_of.try_emplace(std::to_string(port.target) + "/" + port.protocol, index);
            if (fresh) continue;
            const Port& first = service.ports[known->second];
            const Node* there = port_node(known->second);
            if (there->place.file == here->place.file || first.published == port.published) continue;
            report.warning(here->place, path + ".ports[" + std::to_string(index) + "]",
                           "port " + std::to_string(port.target) + " is published a second time, on " + port.published + " besides " + first.published +
                               ": lists of ports add up over files",
                           "use `ports: !override` to replace them");
            report.relate({report.files.pos(there->place)});
        }
        const Node* mounts = node != nullptr ? node->find("volumes") : nullptr;
        for (size_t index = 0; index < service.volumes.size(); ++index) {
            const Mount& mount = service.volumes[index];
            // A relative path without ./ is the name of a volume; with a folder of that name beside the file it was surely meant.
            if (mount.type != "volume" || mount.source.empty() || !folders.contains(mount.source)) continue;
            Place place = mounts != nullptr && mounts->is_sequence() && index < mounts->items().size() ? mounts->items()[index].place : Place{};
            report.warning(place, path + ".volumes[" + std::to_string(index) + "]",
                           base::quote(mount.source) + " is the volume of that name, not the folder beside the file", "write ./" + mount.source + " for the folder");
        }
        for (const auto& [other, dependency] : service.depends_on) {
            if (dependency.condition != "service_healthy") continue;
            auto target = project.services.find(other);
            if (target == project.services.end()) continue;
            const auto& check = target->second.healthcheck;
            bool off = check && (check->disable || (!check->test.empty() && check->test.front() == "NONE"));
            bool built_in = !check || (check->test.empty() && !off);
            if (!off && !built_in) continue;
            const Node* entry = node != nullptr && node->find("depends_on") != nullptr ? node->find("depends_on")->find(other) : nullptr;
            report.warning(entry != nullptr ? entry->place : Place{}, path + ".depends_on." + other,
                           off ? "waits for " + base::quote(other) + " to be healthy, but its health check is disabled"
                               : "waits for " + base::quote(other) + " to be healthy, which has no healthcheck here: its image must bring one");
        }
    }
    // Sorted by first port, so that only neighbours need a look; each port is spoken of once.
    std::stable_sort(published.begin(), published.end(), [](const Published& a, const Published& b) { return a.range < b.range; });
    for (size_t at = 0; at < published.size(); ++at) {
        const Published& b = published[at];
        if (b.range.first != b.range.second) continue;  // one of a range may be free
        for (size_t back = at; back > 0 && at - back < kNeighbours; --back) {
            const Published& a = published[back - 1];
            if (a.range != b.range) break;
            if (a.service == b.service || a.port->protocol != b.port->protocol || !addresses_meet(a.port->host_ip, b.port->host_ip)) continue;
            const Node* node = services != nullptr ? services->find(b.service) : nullptr;
            node = node != nullptr ? node->find("ports") : nullptr;
            size_t index = static_cast<size_t>(b.port - project.services.at(b.service).ports.data());
            Place place = node != nullptr && node->is_sequence() && index < node->items().size() ? node->items()[index].place : Place{};
            report.warning(place, b.path, "services " + base::quote(a.service) + " and " + base::quote(b.service) + " both publish port " +
                                              std::to_string(a.range.first) + "/" + a.port->protocol + ": only one of them can start");
            break;
        }
    }
}

}  // namespace compose::model
