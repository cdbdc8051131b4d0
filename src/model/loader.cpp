#include "model/loader.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "base/file.h"
#include "base/text.h"
#include "model/canonical.h"
#include "model/check.h"
#include "model/hints.h"
#include "model/merge.h"
#include "model/schema.h"
#include "model/yaml_reader.h"

namespace compose::model {

namespace {

constexpr size_t kMaxUses = 100;     ///< places that are remembered of one variable
constexpr size_t kMaxRelated = 20;   ///< of them in one warning
constexpr size_t kMaxChain = 100;    ///< services that extend each other in a row
constexpr size_t kMaxValues = 1'000'000;     ///< in all files and all copies that `extends` makes
constexpr size_t kMaxText = 256u << 20;      ///< bytes of them
constexpr size_t kMaxLoads = 2000;  ///< files merged into one project, counting every include and override

}  // namespace

std::string folder_of(const std::string& file) {
    size_t slash = file.rfind('/');
    return slash == std::string::npos ? "." : slash == 0 ? "/" : file.substr(0, slash);
}

std::string Loader::shown(const std::string& file) const {
    std::string prefix = here_ == "/" ? here_ : here_ + "/";
    return file.starts_with(prefix) ? file.substr(prefix.size()) : file;
}

/// The parsed file, read once; null after a finding.
const std::vector<Node>* Loader::documents(const std::string& file, Place from, const std::string& path) {
    if (auto known = parsed_.find(file); known != parsed_.end()) return &known->second;
    if (unreadable_.contains(file)) return nullptr;
    auto failed = [&](const std::string& message) {
        if (from) report_.error(from, path, message);
        else report_.file_error("", message);
        return nullptr;
    };
    std::string text, name = shown(file);
    if (file == "-") {
        name = "-";
        if (options_.stdin_given) {
            text = options_.stdin_text;
        } else {
            auto read = base::read_all(STDIN_FILENO, kMaxFileBytes + 1);
            if (!read) return failed("read standard input: " + read.error().message());
            text = std::move(*read);
        }
    } else {
        struct stat info{};
        if (::stat(file.c_str(), &info) != 0) return failed("open " + file + ": " + base::to_lower(base::errno_text(errno)));
        if (S_ISDIR(info.st_mode)) return failed("read " + file + ": is a directory");
        if (S_ISREG(info.st_mode) && info.st_size > static_cast<off_t>(kMaxFileBytes)) {
            return failed(file + " is larger than " + std::to_string(kMaxFileBytes >> 20) + " MiB");
        }
        auto read = base::read_file(file, kMaxFileBytes);
        if (!read) return failed(read.error().message());
        text = std::move(*read);
    }
    auto shared = std::make_shared<const std::string>(std::move(text));
    uint32_t index = report_.files.add(name, file, shared);
    size_t errors = report_.errors();
    std::vector<Node> read = read_yaml(*shared, index, report_);
    if (report_.errors() != errors) {
        unreadable_.insert(file);
        return nullptr;
    }
    for (Node& document : read) {
        if (document.is_mapping()) warn_about_text(document, report_);
    }
    return &(parsed_[file] = std::move(read));
}

Node Loader::run(Found& found, std::string& name) {
    here_ = current_folder(options_);
    if (auto home = options_.environment.find("HOME"); home != options_.environment.end()) home_ = home->second;
    name = project_name(found);
    found.variables["COMPOSE_PROJECT_NAME"] = name;
    Context context{found.folder, found.folder, found.variables, found.sources, {}, {}};
    Node root = load_model(found.files, context, false);
    if (root.size() == 0 && !report_.failed()) report_.file_error(shown(found.files.front()), "empty compose file");
    if (options_.no_interpolate) note_variables(root);
    root.set("name", name);
    if (!options_.no_normalize && !options_.compatibility) normalize(root, name, found.variables);
    warn_unset();
    return root;
}

std::string Loader::name_only(Found& found) {
    here_ = current_folder(options_);
    return project_name(found);
}

std::string Loader::project_name(const Found& found) {
    std::string given = options_.project_name;
    if (given.empty()) {
        auto variable = found.variables.find("COMPOSE_PROJECT_NAME");
        if (variable != found.variables.end()) given = variable->second;
    }
    if (!given.empty()) {
        if (std::string problem = check_project_name(given); !problem.empty()) report_.file_error("", problem);
        return given;
    }
    std::string name;
    for (const std::string& file : found.files) {
        const std::vector<Node>* all = documents(file, {}, "");
        if (all == nullptr) continue;
        for (const Node& document : *all) {
            const Node* own = document.find("name");
            if (own == nullptr || own->is_null()) continue;
            if (!own->is_string()) {
                report_.error(own->place, "name", "must be a string, not " + with_article(own->type_name()), type_hint(*own, Wanted{.text = true}, "name"));
                continue;
            }
            if (own->as_string().empty()) continue;
            name = own->as_string();
            if (options_.no_interpolate) continue;
            auto text = substitute(name, [&](std::string_view key) -> std::optional<std::string> {
                auto variable = found.variables.find(std::string(key));
                if (variable == found.variables.end()) return std::nullopt;
                return variable->second;
            });
            if (text) name = *text;
        }
    }
    size_t slash = found.folder.rfind('/');
    name = normalize_project_name(name.empty() ? found.folder.substr(slash == std::string::npos ? 0 : slash + 1) : name);
    if (name.empty()) report_.file_error("", "project name must not be empty");
    return name;
}

/// Takes what is about to be copied from the budget of the load; false when it is used up.
bool Loader::charge(const Node& node) {
    if (used_up_) return false;
    Weight weight = weigh(node);
    values_ += weight.nodes;
    text_ += weight.bytes;
    if (values_ <= kMaxValues && text_ <= kMaxText) return true;
    used_up_ = true;
    report_.file_error("", "the project is too large: more than " + std::to_string(kMaxValues) + " values or " + std::to_string(kMaxText >> 20) +
                               " MiB of text after includes and extends");
    return false;
}

Node Loader::load_model(const std::vector<std::string>& files, Context& context, bool included) {
    Node dict = Node::mapping();
    for (const std::string& file : files) load_file(file, dict, context, false, {});
    for (const char* kind : {"services", "networks", "volumes", "configs", "secrets", "models"}) {
        Node* entries = dict.find(kind);
        if (entries == nullptr || entries->size() <= kMaxEntries) continue;
        report_.error(entries->place, kind, "more than " + std::to_string(kMaxEntries) + " " + kind);
        *entries = Node::mapping();
    }
    set_defaults(dict);
    check_attributes(dict, report_);
    if (included || !options_.no_path_resolution) resolve_paths(dict, context.rel_folder, home_, report_);
    resolve_names(dict, context.variables);
    return dict;
}

void Loader::load_file(const std::string& file, Node& dict, Context& context, bool as_base, Place from) {
    const std::vector<Node>* all = documents(file, from, "");
    if (all == nullptr) return;
    if (++loads_ > kMaxLoads) return report_.file_error(shown(file), "more than " + std::to_string(kMaxLoads) + " files are included or extended");
    for (const Node& original : *all) {
        if (!charge(original)) return;
        Node document = original;
        if (!prepare(document, file, context)) continue;
        if (!as_base) {
            apply_extends(document, file, context);
            apply_includes(document, file, context);
        }
        MergeContext merging{report_, options_.explain, "overridden by " + shown(file), as_base};
        merge_tree(dict, std::move(document), merging);
        if (as_base) {
            // A service that extends another of this file is merged when it is asked for.
            remove_repeated(dict, report_);
            to_long_forms(dict, report_, options_.no_interpolate);
        } else {
            strip_tags(dict);
            finish_document(dict, file, true);
        }
    }
}

bool Loader::prepare(Node& document, const std::string& file, Context& context) {
    if (!document.is_mapping()) {
        if (document.is_null()) report_.file_error(shown(file), "top-level object must be a mapping: the document is empty");
        else report_.error(document.place, "", "top-level object must be a mapping, not " + with_article(document.type_name()),
                           "a Compose file starts with a key, as services:");
        return false;
    }
    if (!options_.no_interpolate) interpolate(document, context);
    const Node::Member* services = document.find_member("services");
    if (services != nullptr && !services->value.is_mapping()) {
        report_.error(services->place, "services", "services must be a mapping, not " + with_article(services->value.type_name()),
                      type_hint(services->value, Wanted{.mapping = true}, "services"));
        document.erase("services");
    }
    return true;
}

void Loader::finish_document(Node& dict, const std::string& file, bool validate) {
    remove_repeated(dict, report_);
    if (validate) validate_schema(dict, report_);
    if (const Node::Member* version = dict.find_member("version"); version != nullptr) {
        if (version->value.is_string()) {
            report_.warning(version->place, "version",
                            "the attribute `version` is obsolete, it will be ignored, please remove it to avoid potential confusion");
        }
        dict.erase("version");
    }
    (void)file;
    to_long_forms(dict, report_, options_.no_interpolate);
    remove_repeated(dict, report_);
}

void Loader::interpolate(Node& node, Context& context) {
    std::function<std::string(const std::string&)> tell;
    if (options_.explain) tell = [&context](const std::string& name) { return tell_variable(name, context.variables, context.sources); };
    Interpolator interpolator(
        [&context](std::string_view name) -> std::optional<std::string> {
            auto found = context.variables.find(std::string(name));
            if (found == context.variables.end()) return std::nullopt;
            return found->second;
        },
        report_, std::move(tell));
    note_variables(node);
    interpolator.run(node);
    for (auto& [name, places] : interpolator.unset()) {
        auto& all = unset_[name];
        all.insert(all.end(), places.begin(), places.begin() + static_cast<ptrdiff_t>(std::min(places.size(), kMaxUses)));
    }
}

void Loader::note_variables(const Node& node) {
    if (node.is_string()) {
        if (node.as_string().find('$') == std::string::npos) return;
        for (VariableUse& use : variables_of(node.as_string())) {
            base::SourcePos at = report_.files.pos(node.place);
            VariableUse& known = variables_[use.name];
            std::vector<base::SourcePos> places = std::move(known.used_at);
            bool fresh = places.size() < kMaxUses && std::find(places.begin(), places.end(), at) == places.end();
            if (fresh) places.push_back(std::move(at));
            known = std::move(use);
            known.used_at = std::move(places);
        }
    } else if (node.is_sequence()) {
        for (const Node& item : node.items()) note_variables(item);
    } else if (node.is_mapping()) {
        for (const Node::Member& member : node.members()) note_variables(member.value);
    }
}

void Loader::warn_unset() {
    for (const auto& [name, places] : unset_) {
        report_.warning(places.front(), "", "The " + base::quote(name) + " variable is not set. Defaulting to a blank string.");
        std::vector<base::SourcePos> related;
        for (const Place& place : places) {
            if (related.size() >= kMaxRelated) break;
            base::SourcePos pos = report_.files.pos(place);
            if (pos != report_.files.pos(places.front()) && std::find(related.begin(), related.end(), pos) == related.end()) related.push_back(pos);
        }
        report_.relate(std::move(related));
    }
}

// ---- extends ------------------------------------------------------------------------------------------------------------

void Loader::apply_extends(Node& document, const std::string& file, Context& context) {
    Node* services = document.find("services");
    if (services == nullptr) return;
    if (services->size() > kMaxEntries) return;  // refused below
    std::vector<std::string> names;
    for (const Node::Member& member : services->members()) names.push_back(member.key);
    for (const std::string& name : names) {
        Track track;
        extend(name, *services, file, context, track);
    }
}

std::vector<Loader::Reference> Loader::references(const std::string& name, const Node& extends) {
    std::vector<Reference> out;
    auto add = [&](const Node& one) {
        Reference reference;
        reference.place = one.place;
        if (one.is_string()) {
            reference.service = one.as_string();
        } else if (one.is_mapping()) {
            const Node* service = one.find("service");
            const Node* file = one.find("file");
            if (service == nullptr || !service->is_string()) {
                report_.error(one.place, "services." + name + ".extends", "extends." + name + ".service is required");
                return;
            }
            reference.service = service->as_string();
            if (file != nullptr && file->is_string()) reference.file = file->as_string();
        }
        out.push_back(std::move(reference));
    };
    if (extends.is_sequence()) {
        for (const Node& one : extends.items()) add(one);
    } else {
        add(extends);
    }
    return out;
}

void Loader::extend(const std::string& name, Node& services, const std::string& file, Context& context, Track& track) {
    Node* service = services.find(name);
    if (service == nullptr || !service->is_mapping()) return;
    const Node* extends = service->find("extends");
    if (extends == nullptr) return;
    std::string path = "services." + name + ".extends";
    std::pair<std::string, std::string> self{file, name};
    if (track.size() >= kMaxChain) {
        report_.error(extends->place, path, "more than " + std::to_string(kMaxChain) + " services extend each other");
        service->erase("extends");
        return;
    }
    track.push_back(self);
    std::vector<Reference> bases = references(name, *extends);
    service->erase("extends");
    Node merged;
    bool any = false;
    for (const Reference& base : bases) {
        std::string base_file = base.file.empty() ? file : absolute_path(base.file, context.folder);
        if (std::find(track.begin(), track.end(), std::pair{base_file, base.service}) != track.end()) {
            std::string message = "Circular reference:";
            for (const auto& [in, one] : track) message += (&in == &track.front().first ? " " : " extends ") + one + " in " + shown(in);
            report_.error(base.place, path, message + " extends " + base.service + " in " + shown(base_file));
            continue;
        }
        Node* from = &services;
        if (!base.file.empty()) {
            if (base.file.find("://") != std::string::npos || base.file.starts_with("git@") || base.file.starts_with("oci:")) {
                report_.error(base.place, path, "remote files cannot be extended: " + base.file, "keep a copy beside the project");
                continue;
            }
            from = base_services(base_file, context, base.place, path);
            if (from == nullptr) continue;
        }
        if (from->find(base.service) == nullptr) {
            std::vector<std::string> known;
            for (const Node::Member& member : from->members()) {
                if (from != &services || member.key != name) known.push_back(member.key);
            }
            auto near = base::closest(base.service, known);
            report_.error(base.place, path,
                          "cannot extend service " + base::quote(name) + " in " + shown(file) + ": service " + base::quote(base.service) +
                              " not found" + (base.file.empty() ? "" : " in " + base.file),
                          near ? "did you mean " + base::quote(*near) + "?" : "");
            continue;
        }
        extend(base.service, *from, base_file, context, track);
        const Node* found = from->find(base.service);
        if (found == nullptr || !found->is_mapping()) {
            if (found != nullptr && !base.file.empty()) {
                report_.error(found->place, "services." + base.service, "services." + base.service + " must be a mapping");
            }
            continue;
        }
        if (!charge(*found)) break;
        Node copy = *found;
        strip_tags(copy);
        MergeContext merging{report_, options_.explain, "overridden by the base " + base.service, false};
        if (any) merge_service(merged, std::move(copy), name, merging);
        else merged = std::move(copy);
        any = true;
    }
    track.pop_back();
    service = services.find(name);
    if (!any || service == nullptr) return;
    Place place = service->place;
    MergeContext merging{report_, options_.explain, "overridden by service " + name + ", which extends it", true};
    Node own = std::move(*service);
    merge_service(merged, std::move(own), name, merging);
    merged.place = place;
    *service = std::move(merged);
}

/// The services of another file, interpolated, with paths relative to the model that asks for them.
Node* Loader::base_services(const std::string& file, Context& context, Place from, const std::string& path) {
    auto known = context.bases.find(file);
    if (known == context.bases.end()) {
        Node dict = Node::mapping();
        size_t errors = report_.errors();
        if (documents(file, from, path) == nullptr) return nullptr;
        load_file(file, dict, context, true, from);
        if (report_.errors() != errors) return nullptr;
        std::string folder = folder_of(file), prefix = context.folder == "/" ? "/" : context.folder + "/";
        std::string relative = folder == context.folder ? "." : folder.starts_with(prefix) ? folder.substr(prefix.size()) : folder;
        resolve_paths(dict, relative, home_, report_);
        Node* services = dict.find("services");
        Node value = services != nullptr ? std::move(*services) : Node();
        known = context.bases.emplace(file, std::move(value)).first;
    }
    if (!known->second.is_mapping()) {
        report_.error(from, path, "cannot extend a service in " + shown(file) + ": no services section");
        return nullptr;
    }
    return &known->second;
}

}  // namespace compose::model
