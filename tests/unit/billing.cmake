set(bi_so "$<TARGET_FILE:billing>")
set(bi_cfg "${CMAKE_SOURCE_DIR}/conf/billing.cfg")

pawl_test(test_bi_notice SOURCES test_bi_notice.c bi_draft.c draft_msg.c LINK billing_domain pawl_fake_host)
pawl_test(test_bi_document SOURCES test_bi_document.c LINK billing_domain)
pawl_test(test_bi_book SOURCES test_bi_book.c LINK billing_domain pawl_fake_host)
pawl_test(test_billing SOURCES test_billing.c bi_draft.c draft_msg.c LINK billing_domain pawl_proto pawl_sdk pawl_fake_host)
foreach(test test_bi_book test_billing)
    add_dependencies(${test} billing)
    target_compile_definitions(${test} PRIVATE BILLING_SO="${bi_so}" BILLING_CFG="${bi_cfg}")
endforeach()

pawl_test(test_bi_sql SOURCES test_bi_sql.c LINK pawl_kit_pg LABELS integration TIMEOUT 300) # a PostgreSQL for each test
pawl_embed_sql(${CMAKE_CURRENT_BINARY_DIR}/billing_sql.h ${CMAKE_SOURCE_DIR}/plugins/billing/sql/001_ledger.sql
    ${CMAKE_SOURCE_DIR}/plugins/billing/sql/002_periods.sql)
target_sources(test_bi_sql PRIVATE ${CMAKE_CURRENT_BINARY_DIR}/billing_sql.h)
target_include_directories(test_bi_sql PRIVATE ${CMAKE_CURRENT_BINARY_DIR})

add_test(NAME test_ledger_oracle COMMAND Python3::Interpreter -B ${CMAKE_SOURCE_DIR}/tools/test_ledger_oracle.py)
set_tests_properties(test_ledger_oracle PROPERTIES LABELS unit TIMEOUT 120 ENVIRONMENT "BILLING_CFG=${bi_cfg};UW_TARIFF=${CMAKE_SOURCE_DIR}/conf/underwriting.cfg;UW_REPLAY=")

# A field that is removed, renumbered or retyped breaks records and programs that are out there.
add_test(NAME proto_is_as_released COMMAND Python3::Interpreter -B ${CMAKE_SOURCE_DIR}/proto/check.py ${PROTOC} ${CMAKE_SOURCE_DIR}/proto)
set_tests_properties(proto_is_as_released PROPERTIES LABELS unit TIMEOUT 60)
