#include "model/load.h"

#include <algorithm>
#include <functional>

#include "base/file.h"
#include "base/text.h"
#include "model/check.h"
#include "model/decode.h"
#include "model/environment.h"
#include "model/loader.h"

namespace compose::model {

namespace {

std::vector<std::string> active_profiles(const LoadOptions& options, const Variables& variables) {
    if (options.all_profiles) return {"*"};
    if (!options.profiles.empty()) return options.profiles;
    std::vector<std::string> out;
    auto listed = variables.find("COMPOSE_PROFILES");
    if (listed == variables.end()) return out;
    for (const std::string& one : base::split(listed->second, ',')) {
        std::string name = base::trim(one);
        if (!name.empty()) out.push_back(std::move(name));
    }
    return out;
}

bool is_enabled(const Service& service, const std::vector<std::string>& profiles) {
    if (service.profiles.empty()) return true;
    return std::any_of(profiles.begin(), profiles.end(), [&](const std::string& active) {
        return active == "*" || std::find(service.profiles.begin(), service.profiles.end(), active) != service.profiles.end();
    });
}

void apply_profiles(Project& project) {
    for (auto service = project.services.begin(); service != project.services.end();) {
        auto next = std::next(service);
        if (!is_enabled(service->second, project.profiles)) project.disabled_services.insert(project.services.extract(service));
        service = next;
    }
}

void sort_by_place(std::vector<Diagnostic>& list) {
    // Findings of one file in the order of its lines; files in the order they were first spoken of.
    std::map<std::string, size_t> order;
    for (const Diagnostic& one : list) order.emplace(one.at.file, order.size());
    std::stable_sort(list.begin(), list.end(), [&](const Diagnostic& a, const Diagnostic& b) {
        size_t x = order[a.at.file], y = order[b.at.file];
        return std::tie(x, a.at.line, a.at.column) < std::tie(y, b.at.line, b.at.column);
    });
}

}  // namespace

bool Loaded::ok() const {
    return std::none_of(diagnostics.begin(), diagnostics.end(), [](const Diagnostic& one) { return one.severity == Severity::error; });
}

std::vector<Diagnostic> Loaded::errors() const {
    std::vector<Diagnostic> out;
    std::copy_if(diagnostics.begin(), diagnostics.end(), std::back_inserter(out), [](const Diagnostic& one) { return one.severity == Severity::error; });
    return out;
}

std::vector<Diagnostic> Loaded::warnings() const {
    std::vector<Diagnostic> out;
    std::copy_if(diagnostics.begin(), diagnostics.end(), std::back_inserter(out), [](const Diagnostic& one) { return one.severity == Severity::warning; });
    return out;
}

Loaded load(const LoadOptions& options) {
    Loaded out;
    Report report;
    Project& project = out.project;
    Found found = discover(options, report);
    if (found.files.empty()) {
        report.file_error("", "no configuration file provided: not found");
    } else {
        Loader loader(options, report);
        auto tree = std::make_shared<Node>(loader.run(found, project.name));
        out.variables = std::move(loader.variables());
        out.sources = std::move(found.sources);
        project.working_dir = found.folder;
        project.compose_files = found.files;
        project.env_files = found.env_files;
        project.environment = found.variables;
        project.profiles = active_profiles(options, found.variables);
        project.tree = tree;
        if (!options.raw && !loader.used_up()) {
            decode(*tree, project, report);
            apply_profiles(project);
            project.files = std::make_shared<Files>(report.files);
            if (!options.no_consistency) {
                check_consistency(project, report);
                for (auto& [name, service] : project.services) {
                    if (service.scale && service.deploy) service.deploy->replicas = service.scale;  // as Docker Compose prints it
                }
            }
            resolve_env_files(project, report, nullptr, options.explain ? tree.get() : nullptr);
            resolve_label_files(project, report, nullptr, options.explain ? tree.get() : nullptr);
            if (!report.failed()) warn_about(project, report);
        }
        project.files = std::make_shared<Files>(std::move(report.files));
    }
    sort_by_place(report.list);
    report.close();
    out.diagnostics = std::move(report.list);
    return out;
}

base::Result<std::string> project_name(const LoadOptions& options) {
    std::string given = options.project_name;
    Report report;
    Found found = discover(options, report);
    if (given.empty()) {
        auto variable = found.variables.find("COMPOSE_PROJECT_NAME");
        if (variable != found.variables.end()) given = variable->second;
    }
    if (!given.empty()) {
        if (std::string problem = check_project_name(given); !problem.empty()) return base::fail(base::Code::invalid, problem);
        return given;
    }
    if (found.files.empty()) {
        size_t slash = found.folder.rfind('/');
        std::string name = normalize_project_name(found.folder.substr(slash + 1));
        if (name.empty()) return base::fail(base::Code::invalid, "project name must not be empty");
        return name;
    }
    Report findings;
    Loader loader(options, findings);
    std::string name = loader.name_only(found);
    if (name.empty()) return to_error(findings.list);
    return name;
}

// ---- selections -----------------------------------------------------------------------------------------------------------

namespace {

/// Enables a service that was named, with what reading its files needs.
base::Status enable(Project& project, const std::string& name) {
    auto hidden = project.disabled_services.extract(name);
    if (hidden.empty()) return {};
    project.services.insert(std::move(hidden));
    Report report;
    if (project.files) report.files = *project.files;
    resolve_env_files(project, report, &name);
    resolve_label_files(project, report, &name);
    if (report.failed()) return to_error(report.list);
    return {};
}

}  // namespace

base::Result<std::vector<std::string>> select_services(Project& project, const std::vector<std::string>& names, Dependencies dependencies) {
    std::vector<std::string> wanted = names;
    for (const std::string& name : wanted) {
        if (!project.services.contains(name) && !project.disabled_services.contains(name)) {
            std::vector<std::string> known;
            for (const auto& [one, service] : project.services) known.push_back(one);
            for (const auto& [one, service] : project.disabled_services) known.push_back(one);
            auto near = base::closest(name, known);
            return base::fail(base::Code::not_found, "no such service: " + name + (near ? " — did you mean " + base::quote(*near) + "?" : ""));
        }
        TRY_VOID(enable(project, name));
    }
    if (wanted.empty()) {
        for (const auto& [name, service] : project.services) wanted.push_back(name);
    }
    std::set<std::string> chosen(wanted.begin(), wanted.end());
    std::vector<std::string> out, stack;
    std::set<std::string> done;
    std::string problem;
    std::function<void(const std::string&)> visit = [&](const std::string& name) {
        if (!problem.empty() || done.contains(name)) return;
        auto open = std::find(stack.begin(), stack.end(), name);
        if (open != stack.end()) {
            std::vector<std::string> cycle(open, stack.end());
            cycle.push_back(name);
            problem = "dependency cycle detected: " + base::join(cycle, " -> ");
            return;
        }
        auto service = project.services.find(name);
        if (service == project.services.end()) return;
        stack.push_back(name);
        for (const auto& [other, dependency] : service->second.depends_on) {
            if (dependencies == Dependencies::include || chosen.contains(other)) visit(other);
        }
        stack.pop_back();
        done.insert(name);
        out.push_back(name);
    };
    for (const std::string& name : wanted) visit(name);
    if (!problem.empty()) return base::fail(base::Code::invalid, problem);
    return out;
}

std::vector<std::string> dependents_of(const Project& project, std::string_view service) {
    std::vector<std::string> out;
    for (const auto& [name, one] : project.services) {
        if (one.depends_on.contains(std::string(service))) out.push_back(name);
    }
    return out;
}

void remove_unused(Project& project) {
    std::set<std::string> networks, volumes, secrets, configs, models;
    for (const auto& [name, service] : project.services) {
        for (const auto& [network, attachment] : service.networks) networks.insert(network);
        for (const Mount& mount : service.volumes) {
            if (mount.type == "volume") volumes.insert(mount.source);
        }
        for (const FileReference& secret : service.secrets) secrets.insert(secret.source);
        if (service.build) {
            for (const FileReference& secret : service.build->secrets) secrets.insert(secret.source);
        }
        for (const FileReference& config : service.configs) configs.insert(config.source);
        for (const auto& [model, binding] : service.models) models.insert(model);
    }
    auto keep = [](auto& all, const std::set<std::string>& used) {
        std::erase_if(all, [&](const auto& entry) { return !used.contains(entry.first); });
    };
    keep(project.networks, networks);
    keep(project.volumes, volumes);
    keep(project.secrets, secrets);
    keep(project.configs, configs);
    keep(project.models, models);
}

base::Result<std::string> content_of(const Project& project, const FileObject& object) {
    if (object.external) {
        return base::fail(base::Code::unsupported, base::quote(object.name) + " is external: this engine has no store of configs and secrets");
    }
    if (object.content) return *object.content;
    if (!object.environment.empty()) {
        auto found = project.environment.find(object.environment);
        if (found != project.environment.end()) return found->second;
        return base::fail(base::Code::not_found, base::quote(object.name) + ": the environment variable " + base::quote(object.environment) + " is not set");
    }
    if (object.file.empty()) return std::string();
    std::string file = object.file.starts_with('/') ? object.file : project.working_dir + "/" + object.file;
    return base::read_file(file).context("read " + base::quote(object.name));
}

}  // namespace compose::model
