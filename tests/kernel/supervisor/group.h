#pragma once
// A group of containers with a root of its own, run through the client; the state is read where it is stored.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/file.h"
#include "image/image_store.h"
#include "store/store.h"
#include "supervisor/client.h"

namespace engine::supervisor::testing {

class Group : public ::testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;

    /// Stores a container that runs `sh -c script`; network_mode "none" unless `change` says otherwise.
    std::string create(const std::string& name, const std::string& script, const std::function<void(ContainerSpec&)>& change = {});
    /// create and start; fails the test when it does not.
    std::string run(const std::string& name, const std::string& script, const std::function<void(ContainerSpec&)>& change = {});
    void start(const std::string& id);
    ContainerState state(const std::string& id);
    /// Waits until the stored state is so (a generous deadline); the state.
    ContainerState wait(const std::string& id, const std::function<bool(const ContainerState&)>& done, const char* what);
    ContainerState wait_exited(const std::string& id);
    std::string log_text(const std::string& id);
    /// Waits until the log holds the text.
    void wait_log(const std::string& id, const std::string& text);
    std::vector<std::string> actions(const std::string& id);

    /// The processes of the group: the guardian and its supervisor. 0: not there.
    pid_t guardian();
    pid_t supervisor();
    /// kill -9, and waits until it is gone.
    static void kill_hard(pid_t pid);
    void wait_for(const std::function<bool()>& done, const char* what);

    store::Paths paths_;
    EngineOptions options_;
    std::unique_ptr<store::Store> store_;
    std::unique_ptr<SupervisorClient> client_;
    std::string image_id_;

private:
    std::unique_ptr<base::TempDir> dir_;
};

}  // namespace engine::supervisor::testing
