#include "cli/cli.h"
#include "supervisor/client.h"

int main(int argc, char** argv) {
    engine::supervisor::enter_if_asked(argc, argv);  // the guardian is this program, started anew
    return compose::cli::main(argc, argv);
}
