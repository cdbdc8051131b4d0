// The guardian is this program, executed anew: hence a main of our own.
#include <gtest/gtest.h>

#include "supervisor/client.h"

int main(int argc, char** argv) {
    engine::supervisor::enter_if_asked(argc, argv);
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
