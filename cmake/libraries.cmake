# Every library we stand on, each as an imported target; the packages are listed in scripts/packages.
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)

foreach(pair
    curl:libcurl crypto:libcrypto archive:libarchive isal:libisal zstd:libzstd sqlite:sqlite3 yaml:yaml-0.1
    ldns:ldns seccomp:libseccomp cap:libcap fmt:fmt spdlog:spdlog)
    string(REPLACE ":" ";" pair ${pair})
    list(GET pair 0 name)
    list(GET pair 1 module)
    pkg_check_modules(${name} REQUIRED IMPORTED_TARGET ${module})
    add_library(lib::${name} ALIAS PkgConfig::${name})
endforeach()
if(COMPOSE_TESTS)
    find_package(GTest)
    if(NOT GTest_FOUND)
        message(STATUS "GoogleTest is not installed: the program is built without its tests (scripts/packages test installs it)")
    endif()
endif()
