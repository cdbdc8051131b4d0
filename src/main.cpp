#include "cli/cli.h"

int main(int argc, char** argv) { return compose::cli::main(argc, argv); }
