// The supervisor's guardian is this program, executed anew: hence a main of our own. So is the command that the crash tests
// kill: `kernel_api --crash-worker up|down ROOT`.
#include <gtest/gtest.h>

#include <string_view>

#include "supervisor/client.h"

namespace engine::api::testing {
int crash_worker(const std::string& work, const std::string& root);
}

int main(int argc, char** argv) {
    engine::supervisor::enter_if_asked(argc, argv);
    if (argc == 4 && std::string_view(argv[1]) == "--crash-worker") return engine::api::testing::crash_worker(argv[2], argv[3]);
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
