# Targets of the supervisor.
add_library(fuzz_protocol STATIC "${ROOT}/engine/supervisor/protocol.cpp")
target_link_libraries(fuzz_protocol PUBLIC fuzz_base Boost::json)
fuzz_target(supervisor_protocol LINK fuzz_protocol)
