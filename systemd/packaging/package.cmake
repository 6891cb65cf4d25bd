# `cmake --build --preset release --target package`: shadowd_VERSION_ARCHITECTURE.deb in the build
# directory, with everything that is installed. Needs dpkg-dev.
set(SHADOWD_MAINTAINER "The shadowd maintainers <maintainers@shadowd.example>" CACHE STRING
    "Maintainer of the Debian package")

set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGE_NAME shadowd)
set(CPACK_PACKAGE_VERSION ${PROJECT_VERSION})
set(CPACK_PACKAGE_CONTACT ${SHADOWD_MAINTAINER})
set(CPACK_SET_DESTDIR ON)  # /etc is outside the prefix.
set(CPACK_INSTALL_PREFIX /usr)
set(CPACK_STRIP_FILES ON)
set(CPACK_PRE_BUILD_SCRIPTS ${CMAKE_CURRENT_LIST_DIR}/complete.cmake)

set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION admin)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# For its user; the unit is written for systemd too.
set(CPACK_DEBIAN_PACKAGE_DEPENDS systemd)
set(CPACK_DEBIAN_PACKAGE_RECOMMENDS dbus)  # By which units are asked for.
set(CPACK_DEBIAN_PACKAGE_SUGGESTS haproxy)
# CPack indents the lines that follow the first.
set(CPACK_DEBIAN_PACKAGE_DESCRIPTION
"forecasts demand and keeps suspended capacity ready for it
shadowd forecasts the demand of resource pools. Before a rise it clones the
instances of a pool, verifies and suspends them. When the demand comes, they
are woken in milliseconds and brought into the load balancer (HAProxy); when
it goes, they are drained and suspended again, or deleted.
.
This package has the daemon, its service, the program that starts units of
the host for it, the command line shadowctl and the API's protos.")
set(CPACK_DEBIAN_PACKAGE_CONTROL_STRICT_PERMISSION ON)
foreach(file conffiles preinst postinst prerm postrm)
  list(APPEND CPACK_DEBIAN_PACKAGE_CONTROL_EXTRA ${CMAKE_CURRENT_LIST_DIR}/${file})
endforeach()
include(CPack)
