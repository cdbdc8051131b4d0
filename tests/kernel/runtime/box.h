#pragma once
// A busybox root and a container in it, without an image store: each test starts its own and leaves nothing.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "engine/types.h"
#include "runtime/cgroup.h"
#include "runtime/exec.h"
#include "runtime/launch.h"

namespace box {

/// Why no container can be started here; empty when one can.
std::string missing();
#define NEEDS_CONTAINERS() \
    if (std::string why_ = box::missing(); !why_.empty()) GTEST_SKIP() << why_

/// What a container wrote and how it ended.
struct Outcome {
    int code = -1;
    std::string out, err;
};

class Box {
public:
    Box();
    ~Box();
    Box(const Box&) = delete;

    engine::ContainerInfo info;
    engine::ImageConfig image;
    std::vector<engine::runtime::ResolvedMount> mounts;
    std::vector<engine::runtime::FileBind> files;
    engine::runtime::JoinFds join;
    bool use_cgroup = true;

    /// The image's files: a path of the host to write into before the start.
    std::string root() const { return folder_ + "/root"; }
    std::string folder() const { return folder_; }
    std::string layer() const { return folder_ + "/upper"; }
    void write(const std::string& path, const std::string& content, unsigned mode = 0644) const;

    base::Result<engine::runtime::LaunchPlan> plan(engine::StreamSet stdio = {});
    /// Starts `argv` and keeps it running; state.pid is set.
    base::Status start(std::vector<std::string> argv);
    base::Status start_with(engine::StreamSet stdio);
    /// Runs `sh -c script` as the container's first process to its end.
    Outcome run(const std::string& script);
    Outcome run_argv(std::vector<std::string> argv);
    /// In the running container.
    Outcome exec(const std::string& script);
    Outcome exec_input(engine::runtime::ExecInput input);
    void stop();
    int wait();
    base::PidFd process;
    base::UniqueFd terminal;
    std::optional<engine::runtime::Cgroup> cgroup;

private:
    base::Status make_cgroup();
    std::string folder_;
};

std::string read_rest(int fd);
/// Polls until true, at most 20 s.
bool eventually(const std::function<bool()>& reached);

}  // namespace box
