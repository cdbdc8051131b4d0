#pragma once
// `up` in the foreground: the project comes up, its lines are shown until all has ended, Ctrl-C stops it.
#include <set>

#include "cli/context.h"
#include "cli/log_printer.h"

namespace compose::cli {

struct AttachedUp {
    plan::Options options;
    std::set<std::string> shown;    ///< services whose lines are printed
    std::set<std::string> awaited;  ///< services whose end is the end of `up`
    std::vector<std::string> selected;  ///< services that a stop concerns
    bool abort_on_exit = false, abort_on_failure = false;
    std::string exit_code_from;
    LogStyle style;
};

Result<int> up_attached(Context& context, model::Project& project, const AttachedUp& up);

}  // namespace compose::cli
