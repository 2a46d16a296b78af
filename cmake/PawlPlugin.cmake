# pawl_add_plugin(NAME SOURCES a.c ... [SQL dir/*.sql ...] [LINK lib ...])
# A module NAME.so without prefix, hidden visibility, no undefined symbols.
# Each SQL file x.sql becomes `static const char sql_x[]` in the generated header "NAME_sql.h".
function(pawl_add_plugin name)
    cmake_parse_arguments(P "" "" "SOURCES;SQL;LINK" ${ARGN})
    add_library(${name} MODULE ${P_SOURCES})
    target_link_libraries(${name} PRIVATE pawl_flags pawl_sdk ${P_LINK})
    target_link_options(${name} PRIVATE -Wl,-z,defs -Wl,-z,relro,-z,now -Wl,--exclude-libs,ALL)
    set_target_properties(${name} PROPERTIES PREFIX "" LIBRARY_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/plugins)
    if(P_SQL)
        pawl_embed_sql(${CMAKE_CURRENT_BINARY_DIR}/${name}_sql.h ${P_SQL})
        target_sources(${name} PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/${name}_sql.h)
        target_include_directories(${name} PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
    endif()
endfunction()

# Writes a header with one string constant per SQL file.
function(pawl_embed_sql header)
    set(script ${CMAKE_SOURCE_DIR}/cmake/embed-sql.cmake)
    add_custom_command(OUTPUT ${header}
        COMMAND ${CMAKE_COMMAND} -DHEADER=${header} "-DFILES=${ARGN}" -DBASE=${CMAKE_CURRENT_SOURCE_DIR} -P ${script}
        DEPENDS ${ARGN} ${script} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} VERBATIM)
endfunction()
