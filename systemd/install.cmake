# Part of `cmake --install`: what depends on the prefix that is chosen only then.
if(CMAKE_INSTALL_PREFIX STREQUAL "/usr")
  set(SHADOWD_SYSCONFDIR /etc)
else()
  set(SHADOWD_SYSCONFDIR ${CMAKE_INSTALL_PREFIX}/etc)
endif()
set(SHADOWD_BINDIR ${CMAKE_INSTALL_PREFIX}/bin)

set(unit $ENV{DESTDIR}${CMAKE_INSTALL_PREFIX}/lib/systemd/system/shadowd.service)
message(STATUS "Installing: ${unit}")
configure_file(${CMAKE_CURRENT_LIST_DIR}/shadowd.service ${unit} @ONLY)

# The configuration is the administrator's once it is there.
set(config $ENV{DESTDIR}${SHADOWD_SYSCONFDIR}/shadowd/shadowd.textproto)
if(EXISTS ${config})
  message(STATUS "Keeping: ${config}")
else()
  message(STATUS "Installing: ${config}")
  configure_file(${CMAKE_CURRENT_LIST_DIR}/shadowd.textproto ${config} COPYONLY)
endif()
