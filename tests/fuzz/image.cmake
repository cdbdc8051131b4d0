# What registries and archives send: references, documents, layers, challenges, registries.conf.
file(GLOB image CONFIGURE_DEPENDS "${ROOT}/engine/image/reference.cpp" "${ROOT}/engine/image/digest.cpp" "${ROOT}/engine/image/manifest.cpp"
    "${ROOT}/engine/image/platform.cpp" "${ROOT}/engine/image/decompress.cpp" "${ROOT}/engine/image/extract.cpp" "${ROOT}/engine/image/pack.cpp"
    "${ROOT}/engine/image/limits.cpp" "${ROOT}/engine/image/auth.cpp" "${ROOT}/engine/image/http.cpp" "${ROOT}/engine/image/curl_api.cpp"
    "${ROOT}/engine/image/registry_config.cpp" "${ROOT}/engine/base/log.cpp")
pkg_check_modules(fmt REQUIRED IMPORTED_TARGET fmt)
pkg_check_modules(spdlog REQUIRED IMPORTED_TARGET spdlog)
pkg_check_modules(zstd REQUIRED IMPORTED_TARGET libzstd)
pkg_check_modules(isal REQUIRED IMPORTED_TARGET libisal)
add_library(fuzz_image STATIC ${image})
target_link_libraries(fuzz_image PUBLIC fuzz_base Boost::json PkgConfig::fmt PkgConfig::spdlog PkgConfig::zstd PkgConfig::isal archive ${CMAKE_DL_LIBS})

fuzz_target(reference LINK fuzz_image)
fuzz_target(manifest LINK fuzz_image)
fuzz_target(image_config LINK fuzz_image)
fuzz_target(registry_words LINK fuzz_image)
fuzz_target(tar LINK fuzz_image)
