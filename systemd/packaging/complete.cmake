# Part of `cpack`: what Debian wants beside the files that are installed.
set(here ${CMAKE_CURRENT_LIST_DIR})
set(share ${CPACK_TEMPORARY_INSTALL_DIRECTORY}/usr/share)

configure_file(${here}/changelog.in ${share}/doc/shadowd/changelog @ONLY)
configure_file(${here}/copyright ${share}/doc/shadowd/copyright COPYONLY)
configure_file(${here}/lintian-overrides ${share}/lintian/overrides/shadowd COPYONLY)

file(GLOB pages ${share}/man/man*/*)
execute_process(COMMAND gzip -9n ${pages} ${share}/doc/shadowd/changelog
                COMMAND_ERROR_IS_FATAL ANY)
# Whatever the umask of who packs.
execute_process(COMMAND chmod -R u=rwX,go=rX ${CPACK_TEMPORARY_INSTALL_DIRECTORY}
                COMMAND_ERROR_IS_FATAL ANY)
