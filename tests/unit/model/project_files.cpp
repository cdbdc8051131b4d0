#include "unit/model/project_files.h"

#include <stdlib.h>

#include "base/file.h"
#include "base/text.h"

namespace compose::model::testing {

ProjectFiles::ProjectFiles(std::initializer_list<std::pair<std::string, std::string>> files) {
    char name[] = "/tmp/model-test-XXXXXX";
    folder_ = ::mkdtemp(name);
    for (const auto& [path, text] : files) {
        if (size_t slash = path.rfind('/'); slash != std::string::npos) (void)base::make_dirs(folder_ + "/" + path.substr(0, slash));
        (void)base::write_file(folder_ + "/" + path, text);
    }
}

ProjectFiles::~ProjectFiles() { (void)base::remove_tree(folder_); }

LoadOptions ProjectFiles::options(std::map<std::string, std::string> environment) const {
    LoadOptions out;
    out.working_dir = folder_;
    out.project_name = "demo";
    out.environment = std::move(environment);
    return out;
}

std::string ProjectFiles::masked(std::string text) const {
    for (size_t at = text.find(folder_); at != std::string::npos; at = text.find(folder_, at)) text.replace(at, folder_.size(), "@DIR@");
    return text;
}

std::string findings(const Loaded& loaded) { return render(loaded.diagnostics, false); }

std::string services_of(const std::string& yaml, std::map<std::string, std::string> environment) {
    ProjectFiles files({{"compose.yaml", yaml}});
    Loaded loaded = load(files.options(std::move(environment)));
    if (!loaded.ok()) return files.masked(findings(loaded));
    Node tree = to_tree(loaded.project);
    return files.masked(to_json(*tree.find("services"), true));
}

std::string findings_of(const std::string& yaml, std::map<std::string, std::string> environment) {
    ProjectFiles files({{"compose.yaml", yaml}});
    Loaded loaded = load(files.options(std::move(environment)));
    return files.masked(findings(loaded));
}

}  // namespace compose::model::testing
