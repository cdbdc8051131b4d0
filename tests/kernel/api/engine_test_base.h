#pragma once
// An engine with a root of its own and the tiny image; everything that a test made is taken away after it.
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace engine::api::testing {

class EngineTest : public ::testing::Test {
protected:
    void SetUp() override;
    void TearDown() override;

    /// Another engine on the same state, as another command has.
    std::unique_ptr<Engine> open(const std::string& group = "kt");
    /// A spec that runs `sh -c script`.
    static ContainerSpec spec(const std::string& name, const std::string& script);
    /// Creates and starts; fails the test when it cannot.
    std::string run(const ContainerSpec& spec);
    /// Waits until it has ended; its exit code, -1 after a generous deadline.
    int wait_exit(const std::string& id);
    bool wait_status(const std::string& id, ContainerStatus status);
    /// Output of `sh -c script` in a running container, and its exit code.
    std::pair<std::string, int> exec(const std::string& id, const std::string& script, const std::string& user = {});
    std::string log_text(const std::string& id);
    /// The whole log as soon as it holds `text` (generous deadline).
    std::string log_with(const std::string& id, const std::string& text);
    void remove_everything();

    std::string root_;
    std::unique_ptr<Engine> engine_;

private:
    std::unique_ptr<base::TempDir> dir_;
};

/// Reads an fd to its end in a thread.
class Reader {
public:
    Reader();
    ~Reader();
    int fd() const { return write_.get(); }  ///< to write to
    /// Closes our writing end and returns everything.
    std::string finish();

private:
    base::UniqueFd read_, write_;
    std::thread thread_;
    std::string text_;
};

}  // namespace engine::api::testing
