#pragma once
#include <gtest/gtest.h>

#include <string>

#include "model/load.h"

namespace compose::run::test {

/// A project "p" in folder /p (or another) from YAML.
inline model::Project project_of(const std::string& yaml, std::map<std::string, std::string> environment = {}, const std::string& folder = "/p") {
    model::LoadOptions options;
    options.files = {"-"};
    options.stdin_text = yaml;
    options.stdin_given = true;
    options.project_name = "p";
    options.project_directory = folder;
    options.working_dir = folder;
    options.environment = std::move(environment);
    model::Loaded loaded = model::load(options);
    for (const auto& error : loaded.errors()) ADD_FAILURE() << error.message << " in\n" << yaml;
    return loaded.project;
}

}  // namespace compose::run::test
