#include "model/config_command.h"

#include <algorithm>
#include <set>

#include "base/text.h"
#include "model/explain.h"
#include "model/render.h"

namespace compose::model {

namespace {

std::string lines(const std::vector<std::string>& items) {
    std::string out;
    for (const std::string& item : items) out += item + "\n";
    return out;
}

template <class T>
std::vector<std::string> keys(const std::map<std::string, T>& values) {
    std::vector<std::string> out;
    for (const auto& [name, value] : values) out.push_back(name);
    return out;
}

void sort_members(Node& node) {
    if (node.is_sequence()) {
        for (Node& item : node.items()) sort_members(item);
    } else if (node.is_mapping()) {
        std::erase_if(node.members(), [](const Node::Member& member) { return member.key.starts_with('#'); });
        std::sort(node.members().begin(), node.members().end(), [](const auto& a, const auto& b) { return a.key < b.key; });
        for (Node::Member& member : node.members()) sort_members(member.value);
    }
}

std::string table(const std::vector<std::vector<std::string>>& rows) {
    std::vector<size_t> widths;
    for (const auto& row : rows) {
        widths.resize(std::max(widths.size(), row.size()), 0);
        for (size_t at = 0; at < row.size(); ++at) widths[at] = std::max(widths[at], row[at].size());
    }
    std::string out;
    for (const auto& row : rows) {
        std::string line;
        for (size_t at = 0; at < row.size(); ++at) {
            line += row[at];
            if (at + 1 < row.size()) line.append(widths[at] - row[at].size() + 4, ' ');
        }
        out += line.substr(0, line.find_last_not_of(' ') + 1) + "\n";
    }
    return out;
}

class Command {
public:
    explicit Command(const ConfigOptions& options) : options_(options) {}

    ConfigOutput run() {
        if (!options_.format.empty() && options_.format != "yaml" && options_.format != "json") {
            return failed("unsupported format " + base::quote(options_.format));
        }
        LoadOptions load_options = options_.load;
        bool raw = load_options.no_interpolate || options_.list_variables;
        if (raw) {
            load_options.no_interpolate = true;
            load_options.raw = true;
        }
        if (options_.explain) load_options.explain = true;
        loaded_ = load(load_options);
        out_.diagnostics = loaded_.diagnostics;
        if (!loaded_.ok()) return finish_errors();
        if (options_.list_variables) return text(variables());
        if (raw) return text(untyped());
        return typed();
    }

private:
    ConfigOutput text(std::string value) {
        if (options_.quiet) value.clear();
        if (options_.quiet && options_.format == "json") {
            for (const Diagnostic& one : out_.diagnostics) value += render_json(one) + "\n";
            out_.diagnostics.clear();
        }
        out_.text = std::move(value);
        return std::move(out_);
    }

    ConfigOutput failed(std::string message) {
        Diagnostic diagnostic;
        diagnostic.message = std::move(message);
        out_.diagnostics.push_back(std::move(diagnostic));
        return finish_errors();
    }

    ConfigOutput finish_errors() {
        out_.status = 1;
        if (options_.quiet && options_.format == "json") return text("");
        return std::move(out_);
    }

    std::string variables() {
        if (options_.format == "json") {
            Node all = Node::mapping();
            for (const auto& [name, use] : loaded_.variables) {
                Node entry = Node::mapping();
                entry.set("Name", name);
                entry.set("DefaultValue", use.default_value);
                entry.set("PresenceValue", use.alternate);
                entry.set("Required", use.required);
                all.members().push_back({name, std::move(entry), Place{}});
            }
            return to_json(all) + "\n";
        }
        std::vector<std::vector<std::string>> rows = {{"NAME", "REQUIRED", "DEFAULT VALUE", "ALTERNATE VALUE"}};
        for (const auto& [name, use] : loaded_.variables) {
            rows.push_back({name, use.required ? "true" : "false", use.default_value, use.alternate});
        }
        return table(rows);
    }

    std::string print(Node tree) {
        return options_.format == "json" ? to_json(tree) + "\n" : to_yaml(tree);
    }

    /// --no-interpolate: the merged files themselves.
    std::string untyped() {
        Node tree = *loaded_.project.tree;
        Node* services = tree.find("services");
        if (!options_.services.empty() && services != nullptr && services->is_mapping()) {
            std::erase_if(services->members(), [&](const Node::Member& member) {
                return std::find(options_.services.begin(), options_.services.end(), member.key) == options_.services.end();
            });
        }
        auto names = [&](std::string_view kind) {
            std::vector<std::string> out;
            if (const Node* node = tree.find(kind); node != nullptr && node->is_mapping()) {
                for (const Node::Member& member : node->members()) out.push_back(member.key);
            }
            std::sort(out.begin(), out.end());
            return lines(out);
        };
        if (options_.list_services) return names("services");
        if (options_.list_volumes) return names("volumes");
        if (options_.list_networks) return names("networks");
        sort_members(tree);
        return print(std::move(tree));
    }

    ConfigOutput typed() {
        Project& project = loaded_.project;
        if (options_.explain) {
            auto answer = explain(loaded_, *options_.explain);
            if (!answer) return failed(answer.error().message());
            return text(*answer);
        }
        if (options_.list_profiles) return text(profiles());
        std::vector<std::string> order;
        if (options_.load.no_consistency && options_.services.empty()) {
            order = keys(project.services);
        } else {
            auto selected = select_services(project, options_.services);
            if (!selected) return failed(selected.error().message());
            order = std::move(*selected);
        }
        if (!options_.services.empty()) {
            std::erase_if(project.services, [&](const auto& entry) { return std::find(order.begin(), order.end(), entry.first) == order.end(); });
        }
        if (options_.list_services) return text(lines(order));
        if (options_.list_environment) return text(environment());
        if (options_.hash) return hashes();
        if (!options_.all_resources) remove_unused(project);
        if (options_.list_volumes) return text(lines(keys(project.volumes)));
        if (options_.list_networks) return text(lines(keys(project.networks)));
        if (options_.list_models) {
            std::vector<std::string> names;
            for (const auto& [name, model] : project.models) names.push_back(model.model);
            return text(lines(names));
        }
        if (options_.list_images) {
            std::vector<std::string> names;
            for (const std::string& name : order) {
                const Service& service = project.services.at(name);
                if (!service.provider) names.push_back(service.image_name(project.name));
            }
            return text(lines(names));
        }
        if (options_.lock_image_digests || options_.resolve_image_digests) {
            if (!digests()) return finish_errors();
            if (options_.lock_image_digests) return text(print(locked()));
        }
        for (auto& [name, service] : project.services) {
            service.env_files.clear();  // their content is in `environment` and `labels` now
            service.label_files.clear();
        }
        Node tree = to_tree(project, options_.format == "json" ? Form::json : Form::yaml);
        escape_dollars(tree);
        return text(print(std::move(tree)));
    }

    std::string profiles() const {
        std::set<std::string> names;
        for (const auto& [name, service] : loaded_.project.services) names.insert(service.profiles.begin(), service.profiles.end());
        for (const auto& [name, service] : loaded_.project.disabled_services) names.insert(service.profiles.begin(), service.profiles.end());
        return lines({names.begin(), names.end()});
    }

    std::string environment() const {
        std::string out;
        for (const auto& [name, value] : loaded_.project.environment) out += name + "=" + value + "\n";
        return out;
    }

    ConfigOutput hashes() {
        std::vector<std::string> names;
        if (*options_.hash == "*") {
            names = keys(loaded_.project.services);
        } else {
            for (const std::string& name : base::split(*options_.hash, ',')) {
                if (!name.empty()) names.push_back(name);
            }
        }
        std::string out;
        for (const std::string& name : names) {
            auto service = loaded_.project.services.find(name);
            if (service == loaded_.project.services.end()) return failed("no such service: " + name);
            out += name + " " + config_hash(service->second) + "\n";
        }
        return text(out);
    }

    /// Pins every image; one finding for each that cannot be.
    bool digests() {
        bool good = true;
        for (auto& [name, service] : loaded_.project.services) {
            if (service.image.empty()) continue;
            base::Result<std::string> pinned = options_.resolve_digest
                                                   ? options_.resolve_digest(service.image)
                                                   : base::fail(base::Code::unsupported, "image digests cannot be resolved here");
            if (pinned) {
                service.image = *pinned;
                continue;
            }
            good = false;
            Diagnostic diagnostic;
            diagnostic.path = "services." + name + ".image";
            diagnostic.at = loaded_.project.where(diagnostic.path);
            diagnostic.message = "failed to resolve digest for " + service.image + ": " + pinned.error().message();
            out_.diagnostics.push_back(std::move(diagnostic));
        }
        return good;
    }

    Node locked() const {
        Node services = Node::mapping();
        for (const auto& [name, service] : loaded_.project.services) {
            if (service.image.empty()) continue;
            Node entry = Node::mapping();
            entry.set("image", service.image);
            services.members().push_back({name, std::move(entry), Place{}});
        }
        Node out = Node::mapping();
        out.set("services", std::move(services));
        return out;
    }

    const ConfigOptions& options_;
    Loaded loaded_;
    ConfigOutput out_;
};

}  // namespace

ConfigOutput run_config(const ConfigOptions& options) { return Command(options).run(); }

}  // namespace compose::model
