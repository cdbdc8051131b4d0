#pragma once
// For `config --explain`: what env files and label files gave a service goes into its tree, with the past of each value.
#include <map>
#include <memory>
#include <string>

#include "model/dotenv.h"
#include "model/node.h"
#include "model/report.h"

namespace compose::model {

class Provenance {
public:
    /// `key`: `environment` or `labels`. `folder` is left out of the names of files.
    Provenance(Node& tree, Report& report, std::string folder, std::string key)
        : tree_(tree), report_(report), folder_(std::move(folder)), key_(std::move(key)) {}

    /// A file was read; a later one wins over it.
    void note(const std::string& file, const std::shared_ptr<const std::string>& text, const std::map<std::string, int>& lines, const Variables& values);
    /// Puts what was noted below what the service itself says.
    void apply(const std::string& service);

private:
    std::string shown(const std::string& file) const;
    Node& tree_;
    Report& report_;
    std::string folder_, key_;
    std::map<std::string, std::shared_ptr<Origin>> newest_;
};

}  // namespace compose::model
