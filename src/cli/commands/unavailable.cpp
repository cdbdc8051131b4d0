// Commands of Docker Compose that this program does not carry out: they say so, and what helps instead.
#include "cli/commands/commands.h"
#include "cli/context.h"
#include "cli/operate.h"

namespace compose::cli {
namespace {

using Type = Flag::Type;
constexpr Flag kBuildFlags[] = {
    {"build-arg", 0, Type::list, "Set build-time variables for services"},
    {"builder", 0, Type::text, "Set builder to use"},
    {"check", 0, Type::boolean, "Check build configuration"},
    {"compress", 0, Type::boolean, "Compress the build context using gzip", "", true},
    {"force-rm", 0, Type::boolean, "Always remove intermediate containers", "", true},
    {"memory", 'm', Type::text, "Set memory limit for the build container"},
    {"no-cache", 0, Type::boolean, "Do not use cache when building the image"},
    {"no-rm", 0, Type::boolean, "Do not remove intermediate containers after a successful build", "", true},
    {"parallel", 0, Type::boolean, "Build images in parallel", "", true},
    {"print", 0, Type::boolean, "Print equivalent bake file"},
    {"progress", 0, Type::text, "Set type of ui output", "", true},
    {"provenance", 0, Type::text, "Add a provenance attestation"},
    {"pull", 0, Type::boolean, "Always attempt to pull a newer version of the image"},
    {"push", 0, Type::boolean, "Push service images"},
    {"quiet", 'q', Type::boolean, "Suppress the build output"},
    {"sbom", 0, Type::text, "Add a SBOM attestation"},
    {"ssh", 0, Type::text, "Set SSH authentications used when building service images"},
    {"with-dependencies", 0, Type::boolean, "Also build dependencies (transitively)"},
};
constexpr Flag kWatchFlags[] = {
    {"no-up", 0, Type::boolean, "Do not build & start services before watching"},
    {"prune", 0, Type::boolean, "Prune dangling images on rebuild", "true"},
    {"quiet", 0, Type::boolean, "hide build output"},
};
constexpr Flag kPublishFlags[] = {
    {"app", 0, Type::boolean, "Published compose application (includes referenced images)"},
    {"insecure-registry", 0, Type::boolean, "Use insecure registry", "", true},
    {"oci-version", 0, Type::text, "OCI image/artifact specification version"},
    {"resolve-image-digests", 0, Type::boolean, "Pin image tags to digests"},
    {"with-env", 0, Type::boolean, "Include environment variables in the published OCI artifact"},
    {"yes", 'y', Type::boolean, "Assume \"yes\" as answer to all prompts"},
};

Result<int> build(Context& context, const Arguments& arguments) {
    auto* project = TRY(context.project());
    for (const std::string& name : TRY(model::select_services(*project, arguments.operands, model::Dependencies::ignore)))
        if (const auto& service = project->services.at(name); service.build)
            return fail(Code::unsupported, "build " + name + ": this version does not build images; bring " + base::quote(service.image_name(project->name)) +
                                               " into the engine by pull or `image load`, then `up` uses it");
    return 0;
}

Result<int> watch(Context&, const Arguments&) {
    return fail(Code::unsupported, "watch: this version does not watch files; mount the folder with `volumes`, or run `up` again after a change");
}
Result<int> publish(Context&, const Arguments&) {
    return fail(Code::unsupported, "publish: this version does not publish Compose files to a registry; `config -o FILE` writes one to hand on");
}
Result<int> bridge(Context&, const Arguments&) {
    return fail(Code::unsupported, "bridge: this version does not convert the model to other platforms; `config --format json` gives it to other tools");
}

}  // namespace

const Command kBuild{"build", "[OPTIONS] [SERVICE...]", "Build or rebuild services", kBuildFlags, build};
const Command kWatch{"watch", "[SERVICE...]", "Watch build context for service and rebuild/refresh containers when files are updated", kWatchFlags, watch, 0, -1, false, true};
const Command kPublish{"publish", "[OPTIONS] REPOSITORY[:TAG]", "Publish compose application", kPublishFlags, publish, 0, -1, false, true};
const Command kBridge{"bridge", "CMD", "Convert compose files into another model", {}, bridge, 0, -1, true, true};

}  // namespace compose::cli
