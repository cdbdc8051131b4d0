// Networks: a row in the store, and a bridge of the kernel that can be made again from it at any time.
#include <net/if.h>

#include "api/engine_impl.h"
#include "base/log.h"
#include "base/text.h"
#include "network/network.h"
#include "supervisor/removal.h"

namespace engine::api {
namespace {

using store::network_event;
using supervisor::kDefaultNetwork;

}  // namespace

std::string EngineImpl::nft_table() const { return network::table_name(paths().root); }

Result<NetworkInfo> EngineImpl::create_network(const NetworkSpec& spec) {
    if (spec.name.empty()) return base::fail(base::Code::invalid, "a network needs a name");
    if (spec.name == "host" || spec.name == "none" || spec.name == "default")
        return base::fail(base::Code::permission, "operation is not permitted on predefined " + spec.name + " network");
    NetworkInfo network;
    // The row first: subnets are chosen under the lock of the transaction, so two commands never choose the same. A process
    // that dies before the bridge is there leaves a network whose bridge comes with the first start.
    TRY_VOID(store().transaction([&]() -> Status {
        auto existing = TRY(store().networks({}));
        for (const auto& other : existing)
            if (other.spec.name == spec.name) return base::fail(base::Code::conflict, "network with name " + spec.name + " already exists");
        network = TRY(network::plan_network(base::random_hex(64), spec, existing));
        if (network.created == 0) network.created = base::now();
        TRY_VOID(store().insert_network(network));
        return store().add_event(network_event(network, "create"));
    }));
    if (auto made = network::create_bridge(network, nft_table()); !made) {
        (void)network::remove_bridge(network, nft_table());  // ignored: the first error is the one to tell
        (void)store().erase_network(network.id);             // ignored: as above
        return std::move(made).context("create network " + spec.name).error();
    }
    return network;
}

Result<NetworkInfo> EngineImpl::network(const std::string& name) { return store().network(name); }
Result<std::vector<NetworkInfo>> EngineImpl::networks(const Labels& labels) { return store().networks(labels); }

Status EngineImpl::remove_network(const std::string& name) {
    // Bridge and row go inside one transaction: nobody can begin to use the network in between, and a cut leaves the row,
    // from which the removal is begun again.
    return store().transaction([&]() -> Status {
        auto network = TRY(store().network(name));
        auto users = TRY(store().network_users(network.spec.name, true));
        if (!users.empty())
            return base::fail(base::Code::conflict, "error while removing network: network " + network.spec.name + " has active endpoints (" + base::join(users, ", ") + ")");
        TRY_VOID(network::remove_bridge(network, nft_table()).context("remove network " + network.spec.name));
        TRY_VOID(store().erase_network(network.id));
        return store().add_event(network_event(network, "destroy"));
    });
}

Result<NetworkInfo> EngineImpl::default_network() {
    auto found = store().network(kDefaultNetwork);
    if (found || found.error().code != base::Code::not_found) return found;
    NetworkSpec spec;
    spec.name = kDefaultNetwork;
    auto made = create_network(spec);
    if (!made && made.error().code == base::Code::conflict) return store().network(kDefaultNetwork);  // another command was quicker
    return made;
}

void EngineImpl::drop_default_network() {
    if (auto dropped = supervisor::drop_default_network(store()); !dropped) base::log::debug("the default network stays: " + dropped.error().message());
}

Status EngineImpl::ensure_networks(const std::vector<std::string>& names) {
    for (const auto& name : names) {
        auto network = name == kDefaultNetwork ? default_network() : store().network(name);
        if (!network) return std::move(network.error());
        if (!network->bridge.empty() && if_nametoindex(network->bridge.c_str()) != 0) continue;
        TRY_VOID(network::create_bridge(*network, nft_table()).context("network " + name));
    }
    return {};
}

}  // namespace engine::api
