#pragma once
// What commands that change a project have in common: the lock, the progress view, the report.
#include "cli/context.h"

namespace compose::cli {

using Operation = Result<run::Report> (*)(const run::Context&, const model::Project&, plan::Options);

/// Carries an operation out under the group's lock with the progress shown, and says what went wrong; the exit status.
Result<int> operate(Context& context, const model::Project& project, const plan::Options& options, Operation operation, bool quiet = false);

/// The project with the named services enabled (a profile may hide them); unknown ones are an error. Without Compose file
/// (-p NAME) the project made of labels.
Result<model::Project*> project_with(Context& context, const std::vector<std::string>& services, model::Dependencies dependencies);
/// The same, but a Compose file is needed.
Result<model::Project*> file_project_with(Context& context, const std::vector<std::string>& services, model::Dependencies dependencies);

/// `SERVICE=N` of --scale and `scale`.
Result<std::map<std::string, int>> scales_of(const std::vector<std::string>& words);
/// What --remove-orphans, COMPOSE_REMOVE_ORPHANS, COMPOSE_IGNORE_ORPHANS, --compatibility and -t say.
plan::Options base_options(Context& context, const Arguments& arguments, plan::Verb verb);
/// base_options, and what the flags of up say that create and plan have, too.
Result<plan::Options> up_options(Context& context, const Arguments& arguments, plan::Verb verb);

}  // namespace compose::cli
