#include "network/dns_records.h"

#include "network/dns_wire.h"

namespace engine::network {

namespace dns {

namespace {

void add(std::vector<Address>& to, const std::optional<Address>& address) {
    if (address && std::find(to.begin(), to.end(), *address) == to.end()) to.push_back(*address);
}

}  // namespace

Records::Records(const std::vector<DnsNetwork>& networks) {
    for (const DnsNetwork& network : networks) {
        Zone& zone = zones_[network.name];
        zone.suffix = wire_name(network.name).value_or("");
        // Compose's names have an underscore, which no public domain has; another name might be one that exists outside.
        zone.own_suffix = !zone.suffix.empty() && network.name.find('_') != std::string::npos;
        for (const DnsMember& member : network.members) {
            std::optional<Address> v4, v6;
            if (auto address = Address::parse(member.ipv4); address && !address->v6) v4 = *address;
            if (auto address = Address::parse(member.ipv6); address && address->v6) v6 = *address;
            std::vector<std::string> names = member.aliases;
            names.push_back(member.name);
            names.push_back(member.container_id.substr(0, 12));
            names.push_back(member.hostname);
            for (const std::string& text : names) {
                auto wire = wire_name(text);
                if (!wire) continue;
                std::vector<std::string> keys{*wire};
                if (!zone.suffix.empty() && wire->size() + zone.suffix.size() < kMaxName) keys.push_back(*wire + zone.suffix);
                for (const std::string& key : keys) {
                    Addresses& addresses = zone.names[key];
                    add(addresses.v4, v4);
                    add(addresses.v6, v6);
                }
            }
            auto own = wire_name(member.name);
            if (!own || own->size() + zone.suffix.size() >= kMaxName) continue;
            for (const auto& address : {v4, v6})
                if (address) zone.reverse[*address] = *own + zone.suffix;
        }
    }
}

const Zone* Records::zone(std::string_view network) const {
    auto found = zones_.find(network);
    return found == zones_.end() ? nullptr : &found->second;
}

}  // namespace dns

std::shared_ptr<const DnsRecords> DnsRecords::make(const std::vector<DnsNetwork>& networks) {
    return std::make_shared<const dns::Records>(networks);
}

}  // namespace engine::network
