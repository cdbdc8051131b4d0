#pragma once
// What the `container …` commands share. They act on any container by name, id or the beginning of an id, whatever project
// it belongs to; those made here belong to none, and run under a supervisor of their own.
#include <functional>
#include <string>
#include <vector>

#include "cli/context.h"

namespace compose::cli {

/// Does `verb` for each operand in turn and prints the operand when it is done; an error is printed, and the rest goes on.
/// The exit status: 1 when one failed.
Result<int> for_each_container(Context& context, const std::vector<std::string>& names,
                               const std::function<Status(engine::Engine&, const engine::ContainerInfo&)>& verb);
/// Attached as `docker run`, `start -a` and `attach` are: on a terminal raw, signals go to the container unless that is not
/// wanted. `start`: it is started once the streams are in place.
struct Attaching {
    bool start = false;
    bool input = false;           ///< standard input goes in
    bool output = true, error = true;
    bool signals = true;          ///< passed on
    bool whole_log = false;
    std::string detach_keys;
};
Result<engine::AttachResult> attach_to(engine::Engine& engine, const engine::ContainerInfo& container, const Attaching& attaching);
/// `the input device is not a TTY`, when a terminal is wanted and standard input is none.
Status check_terminal(bool input, bool tty);
/// What `run` and `start -a` exit with when the container could not be started: 126, 127, else `otherwise`.
int start_status(const Error& error, int otherwise);
/// The image, pulled when `policy` (missing, always, never) says so.
Result<engine::ImageInfo> image_for(Context& context, engine::Engine& engine, const std::string& reference, const std::string& platform,
                                    const std::string& policy, bool quiet);
/// -e, --env-file: "K=V"; a name alone is taken from the caller, and left out when it is not set there.
Result<std::vector<std::string>> environment_of(Context& context, const std::vector<std::string>& files, const std::vector<std::string>& variables);

}  // namespace compose::cli
