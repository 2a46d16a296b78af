pawl_test(test_kafka_proxy SOURCES test_kafka_proxy.c LINK pawl_kit)
