#pragma once
// A project in a temporary folder, and the short forms in which tests read what became of it.
#include <map>
#include <string>
#include <vector>

#include "model/config_command.h"
#include "model/load.h"
#include "model/render.h"

namespace compose::model::testing {

class ProjectFiles {
public:
    /// Files by name; folders in names are made. The project's name is `demo`.
    ProjectFiles(std::initializer_list<std::pair<std::string, std::string>> files);
    ~ProjectFiles();
    ProjectFiles(const ProjectFiles&) = delete;
    ProjectFiles& operator=(const ProjectFiles&) = delete;

    const std::string& folder() const { return folder_; }
    /// Options that see only these files, with `environment`.
    LoadOptions options(std::map<std::string, std::string> environment = {}) const;
    /// `text` with the folder's name as @DIR@.
    std::string masked(std::string text) const;

private:
    std::string folder_;
};

/// The services of one Compose file as compact JSON of `config`, or its findings, a line each.
std::string services_of(const std::string& yaml, std::map<std::string, std::string> environment = {});
/// The findings of one Compose file, a line each.
std::string findings_of(const std::string& yaml, std::map<std::string, std::string> environment = {});
/// All findings of a load, a line each.
std::string findings(const Loaded& loaded);

}  // namespace compose::model::testing
