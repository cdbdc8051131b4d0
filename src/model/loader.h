#pragma once
// The loader's inside: one class that turns the files of a project into one merged, canonical tree.
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "model/discover.h"
#include "model/interpolate.h"
#include "model/load.h"
#include "model/report.h"

namespace compose::model {

constexpr size_t kMaxEntries = 10'000;  ///< services, or networks, or volumes …; more are refused

class Loader {
public:
    Loader(const LoadOptions& options, Report& report) : options_(options), report_(report) {}

    /// Everything but consistency, profiles and env files: those need the typed project.
    Node run(Found& found, std::string& name);
    /// Only the name; finds it also when the rest of a file is wrong.
    std::string name_only(Found& found);
    std::map<std::string, VariableUse>& variables() { return variables_; }
    /// The project is too large and was not loaded to its end.
    bool used_up() const { return used_up_; }

private:
    /// One model of its own variables: the project, or an included one.
    struct Context {
        std::string folder;      ///< absolute: where relative files of `extends` and `include` are looked for
        std::string rel_folder;  ///< what relative paths inside get in front; of the project: its absolute directory
        Variables variables;
        VariableSources sources;
        std::vector<std::string> chain;  ///< files whose `include` led here, absolute
        std::map<std::string, Node> bases;  ///< file of an `extends` → its services
    };
    struct Reference {
        std::string service, file;
        Place place;
    };
    using Track = std::vector<std::pair<std::string, std::string>>;

    const std::vector<Node>* documents(const std::string& file, Place from, const std::string& path);
    std::string shown(const std::string& file) const;
    std::string project_name(const Found& found);
    Node load_model(const std::vector<std::string>& files, Context& context, bool included);
    void load_file(const std::string& file, Node& dict, Context& context, bool as_base, Place from);
    bool prepare(Node& document, const std::string& file, Context& context);
    void finish_document(Node& dict, const std::string& file, bool validate);
    void interpolate(Node& node, Context& context);
    void note_variables(const Node& node);

    void apply_includes(Node& document, const std::string& file, Context& context);
    void include_one(const Node& entry, size_t index, Node& document, const std::string& file, Context& context);
    bool import(Node& from, Node& into, const Node& entry, const std::string& path);

    void apply_extends(Node& document, const std::string& file, Context& context);
    void extend(const std::string& name, Node& services, const std::string& file, Context& context, Track& track);
    std::vector<Reference> references(const std::string& name, const Node& extends);
    Node* base_services(const std::string& file, Context& context, Place from, const std::string& path);
    void warn_unset();
    bool charge(const Node& node);

    const LoadOptions& options_;
    Report& report_;
    std::string here_, home_;
    std::map<std::string, std::vector<Node>> parsed_;
    std::set<std::string> unreadable_;  ///< files whose findings are reported already
    std::map<std::string, VariableUse> variables_;
    std::map<std::string, std::vector<Place>> unset_;
    size_t loads_ = 0, values_ = 0, text_ = 0;
    bool used_up_ = false;
};

/// The folder that holds a file: all before its last slash, `/` for one at the root, `.` for a name alone.
std::string folder_of(const std::string& file);

}  // namespace compose::model
