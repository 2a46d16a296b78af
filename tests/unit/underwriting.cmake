set(uw_so "$<TARGET_FILE:underwriting>")
set(uw_cfg "${CMAKE_SOURCE_DIR}/conf/underwriting.cfg")

pawl_test(test_uw_decimal SOURCES test_uw_decimal.c LINK business_common)
pawl_test(test_uw_date SOURCES test_uw_date.c LINK business_common)
pawl_test(test_currency SOURCES test_currency.c LINK business_common)
pawl_test(test_uw_event SOURCES test_uw_event.c uw_draft.c draft_msg.c LINK underwriting_domain pawl_fake_host)
pawl_test(test_uw_tariff SOURCES test_uw_tariff.c LINK underwriting_domain pawl_fake_host)
pawl_test(test_underwriting SOURCES test_underwriting.c uw_draft.c draft_msg.c LINK pawl_proto pawl_sdk pawl_fake_host)
pawl_test(test_uw_output SOURCES test_uw_output.c uw_draft.c draft_msg.c LINK pawl_proto pawl_sdk pawl_fake_host)
foreach(test test_uw_tariff test_underwriting test_uw_output)
    add_dependencies(${test} underwriting)
    target_compile_definitions(${test} PRIVATE UNDERWRITING_SO="${uw_so}" UNDERWRITING_CFG="${uw_cfg}")
endforeach()

add_library(uw_book STATIC uw_book.c)
target_include_directories(uw_book PUBLIC ${CMAKE_CURRENT_SOURCE_DIR})
target_link_libraries(uw_book PUBLIC auto_mix pawl_fake_host)
target_compile_options(uw_book PRIVATE -UNDEBUG) # its asserts are checks of a test

pawl_test(test_uw_late SOURCES test_uw_late.c uw_draft.c draft_msg.c LINK uw_book underwriting_domain)
pawl_test(test_uw_property SOURCES test_uw_property.c uw_draft.c draft_msg.c LINK uw_book underwriting_domain)
pawl_test(test_auto_mix SOURCES test_auto_mix.c LINK uw_book)
pawl_test(test_auto_kafka SOURCES test_auto_kafka.c LINK auto_kafka)
add_executable(uw_replay uw_replay.c)
target_link_libraries(uw_replay PRIVATE uw_book)
foreach(program test_auto_mix test_uw_late test_uw_property uw_replay)
    add_dependencies(${program} underwriting)
    target_compile_definitions(${program} PRIVATE UNDERWRITING_SO="${uw_so}" UNDERWRITING_CFG="${uw_cfg}")
endforeach()

find_package(Python3 3.9 REQUIRED COMPONENTS Interpreter)
add_test(NAME test_oracle COMMAND Python3::Interpreter -B ${CMAKE_SOURCE_DIR}/tools/test_oracle.py)
set_tests_properties(test_oracle PROPERTIES LABELS unit TIMEOUT 120 ENVIRONMENT "UW_REPLAY=$<TARGET_FILE:uw_replay>;UW_TARIFF=${uw_cfg}")

pawl_test(test_uw_sql SOURCES test_uw_sql.c LINK pawl_kit_pg LABELS integration TIMEOUT 300) # a PostgreSQL for each test
set(uw_sql ${CMAKE_SOURCE_DIR}/plugins/underwriting/sql)
pawl_embed_sql(${CMAKE_CURRENT_BINARY_DIR}/underwriting_steps.h ${uw_sql}/001_policy.sql ${uw_sql}/002_facts.sql ${uw_sql}/003_key_beside.sql
    ${uw_sql}/004_key.sql)
target_sources(test_uw_sql PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/underwriting_steps.h)
target_include_directories(test_uw_sql PRIVATE ${CMAKE_CURRENT_BINARY_DIR})
