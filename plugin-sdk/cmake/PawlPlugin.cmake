# pawl_add_plugin(NAME SOURCES a.c ... [SQL dir/*.sql ...] [LINK lib ...] [DEFINITIONS x ...]
#                 [CASES file-or-folder] [CONFIG file] [DATABASE])
# A module NAME.so without prefix: hidden visibility, no undefined symbols, nothing of static libraries exported.
# Each SQL file x.sql becomes `static const char sql_x[]` in the generated header "NAME_sql.h".
# The test NAME.lint runs `pawl plugin lint` on it; with CASES, NAME.cases runs `pawl plugin test`, and with DATABASE, NAME.database
# does so with --database. CONFIG is for cases that name no configuration.
#
# What a project may set for all of its plugins:
#   PAWL_PLUGIN_OUTPUT_DIRECTORY   where NAME.so goes (default: where CMake puts it)
#   PAWL_PLUGIN_LIBRARIES          targets that all of them link
#   PAWL_PLUGIN_TEST_LABELS        labels of their tests (default: plugin)
#   PAWL_PLUGIN_DATABASE_LABELS    labels of the tests NAME.database (default: the same)
set(PAWL_PLUGIN_MAP "${CMAKE_CURRENT_LIST_DIR}/plugin.map")
set(PAWL_EMBED_SQL_SCRIPT "${CMAKE_CURRENT_LIST_DIR}/embed-sql.cmake")

function(pawl_add_plugin name)
    cmake_parse_arguments(P "DATABASE" "CASES;CONFIG" "SOURCES;SQL;LINK;DEFINITIONS" ${ARGN})
    if(P_UNPARSED_ARGUMENTS)
        message(FATAL_ERROR "pawl_add_plugin(${name}): '${P_UNPARSED_ARGUMENTS}' belongs to none of SOURCES, SQL, LINK, DEFINITIONS, CASES, CONFIG")
    endif()
    if(NOT P_SOURCES)
        message(FATAL_ERROR "pawl_add_plugin(${name}): SOURCES is missing")
    endif()
    add_library(${name} MODULE ${P_SOURCES})
    target_link_libraries(${name} PRIVATE ${PAWL_PLUGIN_LIBRARIES} pawl::plugin ${P_LINK})
    target_compile_definitions(${name} PRIVATE ${P_DEFINITIONS})
    # C++: a STB_GNU_UNIQUE symbol is shared with every other plugin of the process.
    target_compile_options(${name} PRIVATE $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-fno-gnu-unique>)
    target_link_options(${name} PRIVATE LINKER:-z,defs LINKER:-z,relro,-z,now LINKER:--exclude-libs,ALL LINKER:--build-id
        "LINKER:--version-script=${PAWL_PLUGIN_MAP}")
    set_property(TARGET ${name} APPEND PROPERTY LINK_DEPENDS "${PAWL_PLUGIN_MAP}")
    set_target_properties(${name} PROPERTIES PREFIX "" SUFFIX ".so" POSITION_INDEPENDENT_CODE ON C_VISIBILITY_PRESET hidden
        CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
    if(PAWL_PLUGIN_OUTPUT_DIRECTORY)
        set_target_properties(${name} PROPERTIES LIBRARY_OUTPUT_DIRECTORY "${PAWL_PLUGIN_OUTPUT_DIRECTORY}")
    endif()
    if(P_SQL)
        pawl_embed_sql("${CMAKE_CURRENT_BINARY_DIR}/${name}_sql.h" ${P_SQL})
        target_sources(${name} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}/${name}_sql.h")
        target_include_directories(${name} PRIVATE "${CMAKE_CURRENT_BINARY_DIR}")
    endif()
    pawl_plugin_test(${name}.lint plugin lint $<TARGET_FILE:${name}>)
    if(P_CASES)
        set(how plugin test ${CMAKE_CURRENT_SOURCE_DIR}/${P_CASES} --plugin $<TARGET_FILE:${name}>)
        if(P_CONFIG)
            list(APPEND how --config ${CMAKE_CURRENT_SOURCE_DIR}/${P_CONFIG})
        endif()
        pawl_plugin_test(${name}.cases ${how})
        if(P_DATABASE)
            pawl_plugin_test(${name}.database ${how} --database)
            if(PAWL_PLUGIN_DATABASE_LABELS)
                set_tests_properties(${name}.database PROPERTIES LABELS "${PAWL_PLUGIN_DATABASE_LABELS}")
            endif()
        endif()
    endif()
endfunction()

# A test that runs pawl with these arguments.
function(pawl_plugin_test name)
    if(NOT PAWL_PLUGIN_TEST_LABELS)
        set(PAWL_PLUGIN_TEST_LABELS plugin)
    endif()
    add_test(NAME ${name} COMMAND $<TARGET_FILE:pawl::pawl> ${ARGN})
    set_tests_properties(${name} PROPERTIES LABELS "${PAWL_PLUGIN_TEST_LABELS}" TIMEOUT 120)
endfunction()

# Writes a header with one string constant per SQL file.
function(pawl_embed_sql header)
    add_custom_command(OUTPUT ${header}
        COMMAND ${CMAKE_COMMAND} -DHEADER=${header} "-DFILES=${ARGN}" -DBASE=${CMAKE_CURRENT_SOURCE_DIR} -P ${PAWL_EMBED_SQL_SCRIPT}
        DEPENDS ${ARGN} ${PAWL_EMBED_SQL_SCRIPT} WORKING_DIRECTORY ${CMAKE_CURRENT_SOURCE_DIR} VERBATIM)
endfunction()
