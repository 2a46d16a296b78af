# Called with -DHEADER= -DVERSION= -DSOURCE=: PW_VERSION is the project's version, and where it was built from a checkout
# that is not at that tag, what git calls it. The header is written only when that changes.
set(version "${VERSION}")
execute_process(COMMAND git describe --tags --always --dirty --match "v*" WORKING_DIRECTORY "${SOURCE}"
    OUTPUT_VARIABLE described ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE RESULT_VARIABLE failed)
if(NOT failed AND described AND NOT described STREQUAL "v${VERSION}")
    string(APPEND version " (${described})")
endif()
set(text "#define PW_VERSION \"${version}\"\n")
set(was "")
if(EXISTS "${HEADER}")
    file(READ "${HEADER}" was)
endif()
if(NOT text STREQUAL was)
    file(WRITE "${HEADER}" "${text}")
endif()
