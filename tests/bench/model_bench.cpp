// Loading, interpolation and merging of large projects. The bar: 500 services in one file in under a tenth of Docker
// Compose's 0.7 s.
#include <benchmark/benchmark.h>

#include <string>

#include "model/interpolate.h"
#include "model/load.h"
#include "model/merge.h"
#include "model/render.h"
#include "model/yaml_reader.h"

namespace {

using namespace compose::model;

std::string project_of(int services, int first = 0) {
    std::string out = "services:\n";
    for (int at = first; at < first + services; ++at) {
        std::string number = std::to_string(at);
        out += "  svc" + number + ":\n    image: example/app:${TAG:-" + number + "}\n    command: [run, --id, \"" + number +
               "\"]\n    environment:\n      A: \"" + number + "\"\n      B: ${HOME:-/}\n      LOG_LEVEL: info\n    ports: [\"" +
               std::to_string(10000 + at) + ":80\"]\n    volumes: [\"data:/data\", \"./x:/x:ro\"]\n";
        if (at > first) out += "    depends_on: [svc" + std::to_string(first + (at - first) / 2) + "]\n";
    }
    return out + "volumes: {data: {}}\n";
}

LoadOptions options_for(const std::string& text) {
    LoadOptions out;
    out.files = {"-"};
    out.stdin_text = text;
    out.stdin_given = true;
    out.working_dir = "/";
    out.project_name = "bench";
    return out;
}

void load_project(benchmark::State& state) {
    LoadOptions options = options_for(project_of(static_cast<int>(state.range(0))));
    for (auto _ : state) {
        Loaded loaded = load(options);
        if (!loaded.ok()) state.SkipWithError("does not load");
        benchmark::DoNotOptimize(loaded);
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * options.stdin_text.size()));
}
BENCHMARK(load_project)->Arg(10)->Arg(50)->Arg(500)->Unit(benchmark::kMillisecond);

void print_project(benchmark::State& state) {
    Loaded loaded = load(options_for(project_of(500)));
    for (auto _ : state) benchmark::DoNotOptimize(to_yaml(to_tree(loaded.project)));
}
BENCHMARK(print_project)->Unit(benchmark::kMillisecond);

void read_text(benchmark::State& state) {
    std::string text = project_of(500);
    for (auto _ : state) {
        Report report;
        benchmark::DoNotOptimize(read_yaml(text, 0, report));
    }
    state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * text.size()));
}
BENCHMARK(read_text)->Unit(benchmark::kMillisecond);

void interpolate_text(benchmark::State& state) {
    auto lookup = [](std::string_view name) -> std::optional<std::string> {
        return name == "SET" ? std::optional<std::string>("value") : std::nullopt;
    };
    for (auto _ : state) benchmark::DoNotOptimize(substitute("a ${SET} b ${NO:-${SET:-x}} c $SET d $$ ${NO:+y}", lookup));
}
BENCHMARK(interpolate_text);

void merge_files(benchmark::State& state) {
    std::string text = project_of(500);
    Report report;
    Node base = read_yaml(text, 0, report).front();
    for (auto _ : state) {
        Node dict = base;
        merge_tree(dict, base, MergeContext{report, false, "", false});
        benchmark::DoNotOptimize(dict);
    }
}
BENCHMARK(merge_files)->Unit(benchmark::kMillisecond);

}  // namespace
