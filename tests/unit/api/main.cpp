// Of our own only because the supervisor's client wants to be the first statement of a program that links it.
#include <gtest/gtest.h>

#include "supervisor/client.h"

int main(int argc, char** argv) {
    engine::supervisor::enter_if_asked(argc, argv);
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
}
