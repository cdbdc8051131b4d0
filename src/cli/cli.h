#pragma once

namespace compose::cli {

/// The whole program: parses the command line, runs one command, returns the exit status.
int main(int argc, char** argv);

}  // namespace compose::cli
