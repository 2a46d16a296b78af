pawl_test(test_watch SOURCES test_watch.c LINK pw_supervisor)
pawl_test(test_storm SOURCES test_storm.c LINK pw_supervisor)
pawl_test(test_backoff SOURCES test_backoff.c LINK pw_supervisor)

add_executable(fake_worker fake_worker.c)
target_link_libraries(fake_worker PRIVATE pw_observe)
pawl_test(test_control SOURCES test_control.c LINK pw_supervisor)
pawl_test(test_http SOURCES test_http.c LINK pw_http)
pawl_test(test_supervisor SOURCES test_supervisor.c LINK pw_supervisor)
pawl_test(test_service SOURCES test_service.c LINK pw_supervisor)
pawl_test(test_reload SOURCES test_reload.c LINK pw_supervisor)
pawl_test(test_trial SOURCES test_trial.c LINK pw_supervisor)
foreach(name supervisor service reload)
    add_dependencies(test_${name} fake_worker)
    target_compile_definitions(test_${name} PRIVATE FAKE_WORKER="$<TARGET_FILE:fake_worker>")
    pawl_test_uses_plugins(test_${name})
endforeach()

# What the supervisor is made of runs no plugin, librdkafka or libpq code. The second test proves that the first can fail.
add_test(NAME supervisor_rooms_stay_clean
    COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/no_symbols.sh ${CMAKE_NM} $<TARGET_FILE:pw_supervisor> $<TARGET_FILE:pw_observe> $<TARGET_FILE:pw_http> $<TARGET_FILE:pw_topology>)
add_test(NAME supervisor_rooms_check_sees_dlopen COMMAND sh ${CMAKE_CURRENT_SOURCE_DIR}/no_symbols.sh ${CMAKE_NM} $<TARGET_FILE:pw_plugin>)
set_tests_properties(supervisor_rooms_stay_clean supervisor_rooms_check_sees_dlopen PROPERTIES LABELS unit)
set_tests_properties(supervisor_rooms_check_sees_dlopen PROPERTIES WILL_FAIL TRUE)
