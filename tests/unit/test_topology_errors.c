#include "test_topology_kit.h"

/* One line of the good file replaced (8: added behind it), and the whole report that must come of it. */
static const struct {
    int         line;
    const char *text, *report;
} cases[] = {
    { 6, "    sorce: { topics: [in], group: g }",
      "t.yaml:6:5: unknown key 'sorce' in pipeline 'uw'; did you mean 'source'?\n"
      "    6 |     sorce: { topics: [in], group: g }\n"
      "      |     ^~~~~\n" },
    { 8, "    worker: 3",
      "t.yaml:8:5: unknown key 'worker' in pipeline 'uw'; did you mean 'workers'?\n"
      "    8 |     worker: 3\n"
      "      |     ^~~~~~\n" },
    { 8, "    zzz: 3",
      "t.yaml:8:5: unknown key 'zzz' in pipeline 'uw'\n"
      "    8 |     zzz: 3\n"
      "      |     ^~~\n" },
    { 8, "    topics: [in]",
      "t.yaml:8:5: unknown key 'topics' in pipeline 'uw'; did you mean 'source.topics'?\n"
      "    8 |     topics: [in]\n"
      "      |     ^~~~~~\n" },
    { 8, "workers: 3",
      "t.yaml:8:1: unknown key 'workers' at the top level; did you mean 'pipelines.<name>.workers'?\n"
      "    8 | workers: 3\n"
      "      | ^~~~~~~\n" },
    { 8, "    batch: { max_mesages: 5 }",
      "t.yaml:8:14: unknown key 'max_mesages' in 'batch' of pipeline 'uw'; did you mean 'max_messages'?\n"
      "    8 |     batch: { max_mesages: 5 }\n"
      "      |              ^~~~~~~~~~~\n" },
    { 8, "    workers: 3\n    workers: 3",
      "t.yaml:9:5: key 'workers' is there twice; the first is in line 8\n"
      "    9 |     workers: 3\n"
      "      |     ^~~~~~~\n" },
    { 8, "    dedupe: { header: ce_id }",
      "t.yaml:8:5: required key 'window' is missing in 'dedupe' of pipeline 'uw'\n"
      "    8 |     dedupe: { header: ce_id }\n"
      "      |     ^~~~~~\n" },
    { 8, "    dedupe: { window: 7d }",
      "t.yaml:8:5: 'dedupe' needs 'header: NAME' or 'key: true': where is the event's id?\n"
      "    8 |     dedupe: { window: 7d }\n"
      "      |     ^~~~~~\n" },
    { 8, "    dedupe: { key: false, window: 7d }",
      "t.yaml:8:5: 'dedupe' needs 'header: NAME' or 'key: true': where is the event's id?\n"
      "    8 |     dedupe: { key: false, window: 7d }\n"
      "      |     ^~~~~~\n" },
    { 8, "    dedupe: { header: ce_id, key: true, window: 7d }",
      "t.yaml:8:35: 'dedupe' has both 'header' and 'key'; an event has one id: remove one of them\n"
      "    8 |     dedupe: { header: ce_id, key: true, window: 7d }\n"
      "      |                                   ^~~~\n" },
    { 8, "    dedupe: { key: 'true', window: 7d }",
      "t.yaml:8:20: 'dedupe.key' must be true or false, not 'true'; remove the quotes\n"
      "    8 |     dedupe: { key: 'true', window: 7d }\n"
      "      |                    ^~~~~~\n" },
    { 8, "    dedupe: { header: ce_id, window: 91d }",
      "t.yaml:8:38: 'dedupe.window' must be a duration from 1m to 90d, not '91d'\n"
      "    8 |     dedupe: { header: ce_id, window: 91d }\n"
      "      |                                      ^~~\n" },
    { 8, "    slo: { availability: 99.98 }",
      "t.yaml:8:26: 'slo.availability' must be a percentage from 95% to 99.999%, not '99.98'; write it as 99.98%, with three decimals "
      "at most\n"
      "    8 |     slo: { availability: 99.98 }\n"
      "      |                          ^~~~~\n" },
    { 8, "    slo: { latency_share: 100% }",
      "t.yaml:8:27: 'slo.latency_share' must be a percentage from 95% to 99.999%, not '100%'\n"
      "    8 |     slo: { latency_share: 100% }\n"
      "      |                           ^~~~\n" },
    { 8, "    slo: { latency: 300ms }",
      "t.yaml:8:21: 'slo.latency' must be 50ms or 100ms or 250ms or 500ms or 1s or 2500ms or 5s or 10s or 30s or 1m, not '300ms'\n"
      "    8 |     slo: { latency: 300ms }\n"
      "      |                     ^~~~~\n" },
    { 8, "    flavour: [log]",
      "t.yaml:8:5: unknown key 'flavour' in pipeline 'uw'\n"
      "    8 |     flavour: [log]\n"
      "      |     ^~~~~~~\n" },
    { 8, "    middleware: [lgo]",
      "t.yaml:8:18: 'middleware.name' must be log or trace, not 'lgo'; a file is { path: x.so }\n"
      "    8 |     middleware: [lgo]\n"
      "      |                  ^~~\n" },
    { 8, "    middleware: [log, log]",
      "t.yaml:8:23: middleware 'log' is there twice\n"
      "    8 |     middleware: [log, log]\n"
      "      |                       ^~~\n" },
    { 8, "    middleware: [{ keys: hash }]",
      "t.yaml:8:18: a middleware has either 'name' or 'path'\n"
      "    8 |     middleware: [{ keys: hash }]\n"
      "      |                  ^\n" },
    { 8, "    middleware: [{ name: log, config: x.cfg }]",
      "t.yaml:8:31: 'config' belongs to a middleware with 'path'\n"
      "    8 |     middleware: [{ name: log, config: x.cfg }]\n"
      "      |                               ^~~~~~\n" },
    { 8, "    middleware: [{ path: x.so, keys: hash }]",
      "t.yaml:8:32: 'keys' belongs to 'name: log'; a file has its options in 'config'\n"
      "    8 |     middleware: [{ path: x.so, keys: hash }]\n"
      "      |                                ^~~~\n" },
    { 8, "    retry: { manner: park }",
      "t.yaml:8:14: unknown key 'manner' in 'retry' of pipeline 'uw'\n"
      "    8 |     retry: { manner: park }\n"
      "      |              ^~~~~~\n" },
    { 8, "    ? [a, b]\n    : c",
      "t.yaml:8:7: a key must be a plain name\n"
      "    8 |     ? [a, b]\n"
      "      |       ^\n" },
    { 8, "    \"\\e[31mred\\u202e\": 1",
      "t.yaml:8:5: unknown key '?[31mred?' in pipeline 'uw'\n"
      "    8 |     \"\\e[31mred\\u202e\": 1\n"
      "      |     ^~~~~~~~~~~~~~~~~\n" },
    { 8, "    aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg: 1",
      "t.yaml:8:5: unknown key 'aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggg...' in pipeline 'uw'\n"
      "    8 |     aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg: 1\n"
      "      |     ^~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~~\n" },
    { 1, "# no version",
      "t.yaml:2:1: required key 'version' is missing at the top level\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092 }\n"
      "      | ^\n" },
    { 1, "version: 2",
      "t.yaml:1:10: 'version' must be 1, not '2'\n"
      "    1 | version: 2\n"
      "      |          ^\n" },
    { 6, "    source: { topics: [in] }",
      "t.yaml:6:5: required key 'group' is missing in 'source' of pipeline 'uw'\n"
      "    6 |     source: { topics: [in] }\n"
      "      |     ^~~~~~\n" },
    { 8, "    dlq: {}",
      "t.yaml:8:5: required key 'topic' is missing in 'dlq' of pipeline 'uw'\n"
      "    8 |     dlq: {}\n"
      "      |     ^~~\n" },
    { 8, "trace: { sample: 5% }",
      "t.yaml:8:1: required key 'endpoint' is missing in 'trace'\n"
      "    8 | trace: { sample: 5% }\n"
      "      | ^~~~~\n" },
    { 8, "trace: { endpoint: localhost:4318 }",
      "t.yaml:8:20: 'trace.endpoint' must be a URL that begins with http:// or https://, such as http://127.0.0.1:4318/v1/traces\n"
      "    8 | trace: { endpoint: localhost:4318 }\n"
      "      |                    ^~~~~~~~~~~~~~\n" },
    { 8, "trace: { endpoint: 'http://h', sample: 101% }",
      "t.yaml:8:40: 'trace.sample' must be a percentage from 0% to 100%, not '101%'\n"
      "    8 | trace: { endpoint: 'http://h', sample: 101% }\n"
      "      |                                        ^~~~\n" },
    { 8, "trace: { endpoint: 'http://h', queue: 63 }",
      "t.yaml:8:39: 'trace.queue' must be a whole number from 64 to 100000, not '63'\n"
      "    8 | trace: { endpoint: 'http://h', queue: 63 }\n"
      "      |                                       ^~\n" },
    { 8, "trace: { endpoint: 'http://h', ca: ca.pem }",
      "t.yaml:8:32: 'trace.ca' needs an endpoint that begins with https://\n"
      "    8 | trace: { endpoint: 'http://h', ca: ca.pem }\n"
      "      |                                ^~\n" },
    { 8, "http: {}",
      "t.yaml:8:1: required key 'listen' is missing in 'http'\n"
      "    8 | http: {}\n"
      "      | ^~~~\n" },
    { 2, "kafka: {}",
      "t.yaml:2:1: required key 'bootstrap.servers' is missing in 'kafka'\n"
      "    2 | kafka: {}\n"
      "      | ^~~~~\n" },
    { 5, "  UW:",
      "t.yaml:5:3: pipeline name 'UW' must be 1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit\n"
      "    5 |   UW:\n"
      "      |   ^~\n" },
    { 5, "  -uw:",
      "t.yaml:5:3: pipeline name '-uw' must be 1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit\n"
      "    5 |   -uw:\n"
      "      |   ^~~\n" },
    { 5, "  uw: { }\n  vv:",
      "t.yaml:5:3: required key 'source' is missing in pipeline 'uw'\n"
      "    5 |   uw: { }\n"
      "      |   ^~\n"
      "t.yaml:5:3: required key 'plugin' is missing in pipeline 'uw'\n"
      "    5 |   uw: { }\n"
      "      |   ^~\n" },
    { 1, "version: 1\ninstance: Host_1",
      "t.yaml:2:11: 'instance' must be 1 to 63 of a-z, 0-9 and '-', beginning with a letter or digit, not 'Host_1'\n"
      "    2 | instance: Host_1\n"
      "      |           ^~~~~~\n" },
    { 8, "    workers: \"3\"",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not '3'; remove the quotes\n"
      "    8 |     workers: \"3\"\n"
      "      |              ^~~\n" },
    { 8, "    receipts: \"true\"",
      "t.yaml:8:15: 'receipts' must be true or false, not 'true'; remove the quotes\n"
      "    8 |     receipts: \"true\"\n"
      "      |               ^~~~~~\n" },
    { 8, "    receipts: yes",
      "t.yaml:8:15: 'receipts' must be true or false, not 'yes'\n"
      "    8 |     receipts: yes\n"
      "      |               ^~~\n" },
    { 8, "    workers: 3.0",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not '3.0'\n"
      "    8 |     workers: 3.0\n"
      "      |              ^~~\n" },
    { 8, "    workers: 03",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not '03'\n"
      "    8 |     workers: 03\n"
      "      |              ^~\n" },
    { 8, "    workers: [3]",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not a list\n"
      "    8 |     workers: [3]\n"
      "      |              ^\n" },
    { 8, "    workers: {}",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not a mapping\n"
      "    8 |     workers: {}\n"
      "      |              ^\n" },
    { 8, "    workers:",
      "t.yaml:8:5: 'workers' has no value; it must be a whole number from 1 to 64\n"
      "    8 |     workers:\n"
      "      |     ^~~~~~~\n" },
    { 8, "    workers: ~",
      "t.yaml:8:5: 'workers' has no value; it must be a whole number from 1 to 64\n"
      "    8 |     workers: ~\n"
      "      |     ^~~~~~~\n" },
    { 8, "    workers: true",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not 'true'\n"
      "    8 |     workers: true\n"
      "      |              ^~~~\n" },
    { 8, "    workers: 0",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not '0'\n"
      "    8 |     workers: 0\n"
      "      |              ^\n" },
    { 8, "    workers: 65",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not '65'\n"
      "    8 |     workers: 65\n"
      "      |              ^~\n" },
    { 8, "    workers: 99999999999999999999",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not '99999999999999999999'\n"
      "    8 |     workers: 99999999999999999999\n"
      "      |              ^~~~~~~~~~~~~~~~~~~~\n" },
    { 8, "    workers: -1",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not '-1'\n"
      "    8 |     workers: -1\n"
      "      |              ^~\n" },
    { 8, "    batch: { max_bytes: 8MB }",
      "t.yaml:8:25: 'batch.max_bytes' must be a size from 64KiB to 256MiB, not '8MB'; units are B, KiB, MiB and GiB\n"
      "    8 |     batch: { max_bytes: 8MB }\n"
      "      |                         ^~~\n" },
    { 8, "    batch: { max_bytes: 8388608 }",
      "t.yaml:8:25: 'batch.max_bytes' must be a size from 64KiB to 256MiB, not '8388608'; units are B, KiB, MiB and GiB\n"
      "    8 |     batch: { max_bytes: 8388608 }\n"
      "      |                         ^~~~~~~\n" },
    { 8, "    batch: { max_bytes: 257MiB }",
      "t.yaml:8:25: 'batch.max_bytes' must be a size from 64KiB to 256MiB, not '257MiB'\n"
      "    8 |     batch: { max_bytes: 257MiB }\n"
      "      |                         ^~~~~~\n" },
    { 8, "    batch: { linger: 10 }",
      "t.yaml:8:22: 'batch.linger' must be a duration from 0ms to 10s, not '10'; units are ms, s, m, h and d\n"
      "    8 |     batch: { linger: 10 }\n"
      "      |                      ^~\n" },
    { 8, "    batch: { linger: 1.5s }",
      "t.yaml:8:22: 'batch.linger' must be a duration from 0ms to 10s, not '1.5s'; units are ms, s, m, h and d\n"
      "    8 |     batch: { linger: 1.5s }\n"
      "      |                      ^~~~\n" },
    { 8, "    batch: [a]",
      "t.yaml:8:12: 'batch' must be a mapping, not a list\n"
      "    8 |     batch: [a]\n"
      "      |            ^\n" },
    { 8, "    handler_timeout: 46s",
      "t.yaml:8:22: 'handler_timeout' must be a duration from 100ms to 45s, not '46s'\n"
      "    8 |     handler_timeout: 46s\n"
      "      |                      ^~~\n" },
    { 8, "    handler_timeout: 99ms",
      "t.yaml:8:22: 'handler_timeout' must be a duration from 100ms to 45s, not '99ms'\n"
      "    8 |     handler_timeout: 99ms\n"
      "      |                      ^~~~\n" },
    { 8, "    crash_storm: { messages: 101 }",
      "t.yaml:8:30: 'crash_storm.messages' must be a whole number from 0 to 100, not '101'\n"
      "    8 |     crash_storm: { messages: 101 }\n"
      "      |                              ^~~\n" },
    { 8, "    crash_limit: 101",
      "t.yaml:8:18: 'crash_limit' must be a whole number from 1 to 100, not '101'\n"
      "    8 |     crash_limit: 101\n"
      "      |                  ^~~\n" },
    { 8, "drain_timeout: 61m",
      "t.yaml:8:16: 'drain_timeout' must be a duration from 1s to 1h, not '61m'\n"
      "    8 | drain_timeout: 61m\n"
      "      |                ^~~\n" },
    { 7, "    plugin: { path: 123 }",
      "t.yaml:7:21: 'plugin.path' must be text of 1 to 4096 bytes, not '123'; put it in quotes\n"
      "    7 |     plugin: { path: 123 }\n"
      "      |                     ^~~\n" },
    { 7, "    plugin: { path: '' }",
      "t.yaml:7:21: 'plugin.path' must be text of 1 to 4096 bytes, not ''\n"
      "    7 |     plugin: { path: '' }\n"
      "      |                     ^~\n" },
    { 7, "    plugin: uw.so",
      "t.yaml:7:13: 'plugin' must be a mapping, not 'uw.so'\n"
      "    7 |     plugin: uw.so\n"
      "      |             ^~~~~\n" },
    { 7, "    plugin: { path: null }",
      "t.yaml:7:15: 'plugin.path' has no value; it must be text of 1 to 4096 bytes\n"
      "    7 |     plugin: { path: null }\n"
      "      |               ^~~~\n" },
    { 7, "    plugin: { path: uw.so, config: true }",
      "t.yaml:7:36: 'plugin.config' must be a path of 1 to 4096 bytes, not 'true'; put it in quotes\n"
      "    7 |     plugin: { path: uw.so, config: true }\n"
      "      |                                    ^~~~\n" },
    { 7, "    plugin: { path: \"a\\nb\" }",
      "t.yaml:7:21: 'plugin.path' must not contain line breaks or control characters\n"
      "    7 |     plugin: { path: \"a\\nb\" }\n"
      "      |                     ^~~~~~\n" },
    { 6, "    source: { topics: in, group: g }",
      "t.yaml:6:23: 'source.topics' must be a list of 1 to 16 topics, not 'in'; write [name, name]\n"
      "    6 |     source: { topics: in, group: g }\n"
      "      |                       ^~\n" },
    { 6, "    source: { topics: [], group: g }",
      "t.yaml:6:23: 'source.topics' must be a list of 1 to 16 topics, not of 0\n"
      "    6 |     source: { topics: [], group: g }\n"
      "      |                       ^\n" },
    { 6, "    source: { topics: [in, in], group: g }",
      "t.yaml:6:28: topic 'in' is there twice\n"
      "    6 |     source: { topics: [in, in], group: g }\n"
      "      |                            ^~\n" },
    { 6, "    source: { topics: [in, 7], group: g }",
      "t.yaml:6:28: 'source.topics' must be the name of a topic, not '7'; put it in quotes\n"
      "    6 |     source: { topics: [in, 7], group: g }\n"
      "      |                            ^\n" },
    { 6, "    source: { topics: ['^in.*'], group: g }",
      "t.yaml:6:24: a topic must be the name of one topic; patterns are not supported, not '^in.*'\n"
      "    6 |     source: { topics: ['^in.*'], group: g }\n"
      "      |                        ^~~~~~~\n" },
    { 6, "    source: { topics: [a b], group: g }",
      "t.yaml:6:24: a topic must be 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', not 'a b'\n"
      "    6 |     source: { topics: [a b], group: g }\n"
      "      |                        ^~~\n" },
    { 6, "    source: { topics: ['..'], group: g }",
      "t.yaml:6:24: a topic must be another name than '.' and '..', not '..'\n"
      "    6 |     source: { topics: ['..'], group: g }\n"
      "      |                        ^~~~\n" },
    { 6, "    source: { topics: [in], group: a/b }",
      "t.yaml:6:36: 'source.group' must be 1 to 249 of a-z, A-Z, 0-9, '.', '_' and '-', not 'a/b'\n"
      "    6 |     source: { topics: [in], group: a/b }\n"
      "      |                                    ^~~\n" },
    { 6, "    source: { topics: [in], group: g, start: newest }",
      "t.yaml:6:46: 'source.start' must be earliest or latest, not 'newest'\n"
      "    6 |     source: { topics: [in], group: g, start: newest }\n"
      "      |                                              ^~~~~~\n" },
    { 8, "    outputs: { Out: x }",
      "t.yaml:8:16: output 'Out' must be 1 to 63 of a-z, 0-9, '_' and '-', beginning with a letter or digit\n"
      "    8 |     outputs: { Out: x }\n"
      "      |                ^~~\n" },
    { 8, "    outputs: [x]",
      "t.yaml:8:14: 'outputs' must be a mapping of at most 64 ports to topics, not a list\n"
      "    8 |     outputs: [x]\n"
      "      |              ^\n" },
    { 8, "http: { listen: ':9464' }",
      "t.yaml:8:17: 'http.listen' must be address:port, such as 127.0.0.1:9464 or [::1]:9464, or 0.0.0.0:9464 for all, not ':9464'\n"
      "    8 | http: { listen: ':9464' }\n"
      "      |                 ^~~~~~~\n" },
    { 8, "http: { listen: 9464 }",
      "t.yaml:8:17: 'http.listen' must be address:port, not '9464'\n"
      "    8 | http: { listen: 9464 }\n"
      "      |                 ^~~~\n" },
    { 8, "http: { listen: '127.0.0.1:65536' }",
      "t.yaml:8:17: 'http.listen' must have a port from 0 to 65535, not '127.0.0.1:65536'\n"
      "    8 | http: { listen: '127.0.0.1:65536' }\n"
      "      |                 ^~~~~~~~~~~~~~~~~\n" },
    { 8, "http: { listen: '::1:9464' }",
      "t.yaml:8:17: 'http.listen' must be address:port, such as 127.0.0.1:9464 or [::1]:9464, or 0.0.0.0:9464 for all, not '::1:9464'\n"
      "    8 | http: { listen: '::1:9464' }\n"
      "      |                 ^~~~~~~~~~\n" },
    { 8, "admin: { token: 01234567890123456789 }",
      "t.yaml:8:1: required key 'listen' is missing in 'admin'\n"
      "    8 | admin: { token: *** }\n"
      "      | ^~~~~\n"
      "t.yaml:8:17: 'admin.token' must be text of 20 to 512 bytes; put it in quotes\n"
      "    8 | admin: { token: *** }\n"
      "      |                 ^~~\n" },
    { 8, "admin: { listen: '127.0.0.1:1', token: short }",
      "t.yaml:8:40: 'admin.token' must be text of 20 to 512 bytes\n"
      "    8 | admin: { listen: '127.0.0.1:1', token: *** }\n"
      "      |                                        ^~~\n" },
    { 8, "admin: { listen: '0.0.0.0:1' }",
      "t.yaml:8:18: 'admin.listen' is not on loopback, so 'admin' needs a 'token'\n"
      "    8 | admin: { listen: '0.0.0.0:1' }\n"
      "      |                  ^~~~~~~~~~~\n"
      "t.yaml:8:18: 'admin.listen' is not on loopback, so 'admin' needs 'certificate' and 'key'; 'plain: true' sends the token over the network for all to read\n"
      "    8 | admin: { listen: '0.0.0.0:1' }\n"
      "      |                  ^~~~~~~~~~~\n" },
    { 8, "admin: { listen: 'localhost:1', certificate: c.pem }",
      "t.yaml:8:1: 'admin' has 'certificate' or 'key' and not both\n"
      "    8 | admin: { listen: 'localhost:1', certificate: c.pem }\n"
      "      | ^~~~~\n" },
    { 1, "version: 1\nrun_dir: run/pawl",
      "t.yaml:2:10: 'run_dir' must be an absolute path of at most 80 bytes, not 'run/pawl'\n"
      "    2 | run_dir: run/pawl\n"
      "      |          ^~~~~~~~\n" },
    { 7, "    connect: 443,0\n    plugin: { path: p.so }",
      "t.yaml:7:14: 'connect' must be ports from 1 to 65535, such as 443 or 443,30000-30100; at most 32 of them, not '443,0'\n"
      "    7 |     connect: 443,0\n"
      "      |              ^~~~~\n" },
    { 7, "    connect: 20-10\n    plugin: { path: p.so }",
      "t.yaml:7:14: 'connect' must be ports from 1 to 65535, such as 443 or 443,30000-30100; at most 32 of them, not '20-10'\n"
      "    7 |     connect: 20-10\n"
      "      |              ^~~~~\n" },
    { 7, "    plugin: { path: p.so, sha256: 7692C3 }",
      "t.yaml:7:35: 'plugin.sha256' must be 64 of 0-9 and a-f, as sha256sum prints them, not '7692C3'\n"
      "    7 |     plugin: { path: p.so, sha256: 7692C3 }\n"
      "      |                                   ^~~~~~\n" },
    { 1, "version: 1\nplugin_dir: plugins",
      "t.yaml:2:13: 'plugin_dir' must be an absolute path of at most 4000 bytes, not 'plugins'\n"
      "    2 | plugin_dir: plugins\n"
      "      |             ^~~~~~~\n" },
    { 8, "    outputs: { again: in }",
      "t.yaml:8:23: output 'again' writes to 'in', which this pipeline reads: its messages would go round for ever\n"
      "    8 |     outputs: { again: in }\n"
      "      |                       ^~\n" },
    { 8, "    dlq: { topic: in }",
      "t.yaml:8:19: dead letters go to 'in', which this pipeline reads: its messages would go round for ever\n"
      "    8 |     dlq: { topic: in }\n"
      "      |                   ^~\n" },
    { 8, "    retry: { backoff: 10s, max_backoff: 9s }",
      "t.yaml:8:41: 'retry.max_backoff' (9000ms) is below 'retry.backoff' (10000ms)\n"
      "    8 |     retry: { backoff: 10s, max_backoff: 9s }\n"
      "      |                                         ^~\n" },
    { 8, "    retry: { backoff: 31s }",
      "t.yaml:8:23: 'retry.max_backoff' (30000ms) is below 'retry.backoff' (31000ms)\n"
      "    8 |     retry: { backoff: 31s }\n"
      "      |                       ^~~\n" },
    { 8, "  vv:\n    source: { topics: [in], group: g }\n    plugin: { path: uw.so }",
      "t.yaml:9:36: group 'g' is also that of pipeline 'uw' (line 5); each pipeline needs its own\n"
      "    9 |     source: { topics: [in], group: g }\n"
      "      |                                    ^\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, enable.auto.commit: true }",
      "t.yaml:2:45: librdkafka property 'enable.auto.commit' cannot be set: PostgreSQL holds the position; nothing else may commit it\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, enable.auto.commit: true }\n"
      "      |                                             ^~~~~~~~~~~~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, group.id: x }",
      "t.yaml:2:45: librdkafka property 'group.id' cannot be set: use source.group of the pipeline\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, group.id: x }\n"
      "      |                                             ^~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, plugin.library.paths: x.so }",
      "t.yaml:2:45: librdkafka property 'plugin.library.paths' cannot be set: it loads code into the worker\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, plugin.library.paths: x.so }\n"
      "      |                                             ^~~~~~~~~~~~~~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, rebalance_cb: x }",
      "t.yaml:2:45: librdkafka property 'rebalance_cb' cannot be set: a callback or a pointer cannot be written in a file\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, rebalance_cb: *** }\n"
      "      |                                             ^~~~~~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, clientid: x }",
      "t.yaml:2:45: unknown librdkafka property 'clientid'; did you mean 'client.id'?\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, clientid: *** }\n"
      "      |                                             ^~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, no.such.thing: x }",
      "t.yaml:2:45: librdkafka property 'no.such.thing' is not one of those that a topology may set\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, no.such.thing: *** }\n"
      "      |                                             ^~~~~~~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: 'localhost:9092,' }",
      "t.yaml:2:29: 'bootstrap.servers' must be host:port, several separated by commas, such as localhost:9092, not 'localhost:9092,'\n"
      "    2 | kafka: { bootstrap.servers: 'localhost:9092,' }\n"
      "      |                             ^~~~~~~~~~~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, session.timeout.ms: 5999 }",
      "t.yaml:2:65: 'session.timeout.ms' must be a whole number from 6000 to 45000, not '5999'\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, session.timeout.ms: 5999 }\n"
      "      |                                                                 ^~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, session.timeout.ms: 45001 }",
      "t.yaml:2:65: 'session.timeout.ms' must be a whole number from 6000 to 45000, not '45001'\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, session.timeout.ms: 45001 }\n"
      "      |                                                                 ^~~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, session.timeout.ms: 6000, heartbeat.interval.ms: 2000 }",
      "t.yaml:2:94: 'session.timeout.ms' (6000) must be more than three times 'heartbeat.interval.ms' (2000)\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, session.timeout.ms: 6000, heartbeat.interval.ms: 2000 }\n"
      "      |                                                                                              ^~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, heartbeat.interval.ms: 3334 }",
      "t.yaml:2:68: 'session.timeout.ms' (10000) must be more than three times 'heartbeat.interval.ms' (3334)\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, heartbeat.interval.ms: 3334 }\n"
      "      |                                                                    ^~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, partition.assignment.strategy: roundrobin }",
      "t.yaml:2:76: 'partition.assignment.strategy' must be range, not 'roundrobin'\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, partition.assignment.strategy: roundrobin }\n"
      "      |                                                                            ^~~~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, socket.keepalive.enable: yes }",
      "t.yaml:2:70: 'socket.keepalive.enable' must be true or false, not 'yes'\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, socket.keepalive.enable: yes }\n"
      "      |                                                                      ^~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, fetch.max.bytes: 100000000 }",
      "t.yaml:2:62: 'receive.message.max.bytes' (100000000) must be at least 512 more than 'fetch.max.bytes' (100000000)\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, fetch.max.bytes: 100000000 }\n"
      "      |                                                              ^~~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: b, reconnect.backoff.ms: 1001 }",
      "t.yaml:2:54: 'reconnect.backoff.max.ms' (1000) must be at least 'reconnect.backoff.ms' (1001)\n"
      "    2 | kafka: { bootstrap.servers: b, reconnect.backoff.ms: 1001 }\n"
      "      |                                                      ^~~~\n" },
    { 2, "kafka: { bootstrap.servers: b, socket.timeout.ms: 1099 }",
      "t.yaml:2:51: 'socket.timeout.ms' (1099) must be at least 1000 more than 'fetch.wait.max.ms' (100)\n"
      "    2 | kafka: { bootstrap.servers: b, socket.timeout.ms: 1099 }\n"
      "      |                                                   ^~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, client.id: }",
      "t.yaml:2:45: 'client.id' has no value\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, client.id: }\n"
      "      |                                             ^~~~~~~~~\n" },
    { 2, "kafka: { bootstrap.servers: localhost:9092, client.id: 1.5 }",
      "t.yaml:2:56: 'client.id' must be text, a whole number, true or false, not '1.5'\n"
      "    2 | kafka: { bootstrap.servers: localhost:9092, client.id: 1.5 }\n"
      "      |                                                        ^~~\n" },
    { 2, "kafka: [a]",
      "t.yaml:2:8: 'kafka' must be a mapping of librdkafka properties, not a list\n"
      "    2 | kafka: [a]\n"
      "      |        ^\n" },
    { 8, "    workers: !!int 3",
      "t.yaml:8:14: tags ('tag:yaml.org,2002:int') are not supported; the key decides the type\n"
      "    8 |     workers: !!int 3\n"
      "      |              ^~~~~~~\n" },
    { 8, "    workers: *none",
      "t.yaml:8:14: alias 'none' has no anchor before it\n"
      "    8 |     workers: *none\n"
      "      |              ^~~~~\n" },
    { 8, "    outputs: &o { a: *o }",
      "t.yaml:8:22: alias 'o' is inside of what it stands for\n"
      "    8 |     outputs: &o { a: *o }\n"
      "      |                      ^~\n" },
    { 8, "    <<: *x",
      "t.yaml:8:5: merge keys ('<<') are not supported; alias whole values or repeat the keys\n"
      "    8 |     <<: *x\n"
      "      |     ^~\n"
      "t.yaml:8:9: alias 'x' has no anchor before it\n"
      "    8 |     <<: *x\n"
      "      |         ^~\n" },
    { 8, "    workers: &n 3\n    crash_limit: &n 3",
      "t.yaml:9:18: anchor 'n' is defined twice\n"
      "    9 |     crash_limit: &n 3\n"
      "      |                  ^~~~\n" },
    { 8, "---\nversion: 1",
      "t.yaml:8:1: a second document begins here; a topology is one document\n"
      "    8 | ---\n"
      "      | ^~~\n" },
    { 8, "\tworkers: 3",
      "t.yaml:8:1: found character that cannot start any token; indent with spaces, not with tabs\n"
      "    8 | \tworkers: 3\n"
      "      | ^\n" },
    { 8, "    workers: 3\n   crash_limit: 3",
      "t.yaml:9:4: did not find expected key (while parsing a block mapping that begins in line 5)\n"
      "    9 |    crash_limit: 3\n"
      "      |    ^\n" },
    { 7, "    plugin: { path: uw.so",
      "t.yaml:8:1: did not find expected ',' or '}' (while parsing a flow mapping that begins in line 7)\n"
      "    8 | \n"
      "      | ^\n" },
    { 7, "    plugin: { path: uw.so, config: ${CFG} }",
      "t.yaml:7:37: did not find expected ',' or '}'; in { } a value with ${...} needs quotes\n"
      "    7 |     plugin: { path: uw.so, config: ${CFG} }\n"
      "      |                                     ^\n" },
    { 8, "    workers: 3 \xc2\x85", "t.yaml:8:16: U+0085 is a control character or is invisible; remove it\n" },
    { 1, "%TAG ! tag:x,2000:\n---\nversion: 1",
      "t.yaml:1:1: tags are not supported; remove the %TAG directive\n"
      "    1 | %TAG ! tag:x,2000:\n"
      "      | ^~~~~~~~~~~~~~~~~~\n" },
    { 7, "    plugin: { path: \"${PAWL_TEST_UNSET}\" }",
      "t.yaml:7:21: environment variable 'PAWL_TEST_UNSET' is not set; set it or give a default: ${PAWL_TEST_UNSET:-...}\n"
      "    7 |     plugin: { path: \"${PAWL_TEST_UNSET}\" }\n"
      "      |                     ^~~~~~~~~~~~~~~~~~~~\n" },
    { 7, "    plugin: { path: \"${1X}\" }",
      "t.yaml:7:21: ${...} takes NAME, NAME:-default or file:/path; for the characters ${ write $${\n"
      "    7 |     plugin: { path: \"${1X}\" }\n"
      "      |                     ^~~~~~~\n" },
    { 7, "    plugin: { path: \"${X\" }",
      "t.yaml:7:21: ${ without }; for the characters ${ write $${\n"
      "    7 |     plugin: { path: \"${X\" }\n"
      "      |                     ^~~~~\n" },
    { 7, "    plugin: { path: \"${A:-${B}}\" }",
      "t.yaml:7:21: ${...} cannot stand inside of another ${...}\n"
      "    7 |     plugin: { path: \"${A:-${B}}\" }\n"
      "      |                     ^~~~~~~~~~~~\n" },
    { 7, "    plugin: { path: \"${file:rel}\" }",
      "t.yaml:7:21: ${file:rel} needs an absolute path\n"
      "    7 |     plugin: { path: \"${file:rel}\" }\n"
      "      |                     ^~~~~~~~~~~~~\n" },
    { 7, "    plugin: { path: \"${file:/nonexistent/x}\" }",
      "t.yaml:7:21: cannot read /nonexistent/x: No such file or directory\n"
      "    7 |     plugin: { path: \"${file:/nonexistent/x}\" }\n"
      "      |                     ^~~~~~~~~~~~~~~~~~~~~~~~\n" },
    { 8, "    workers: ${PAWL_TEST_UNSET:-many}",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not what '${PAWL_TEST_UNSET:-many}' gives\n"
      "    8 |     workers: ${PAWL_TEST_UNSET:-many}\n"
      "      |              ^~~~~~~~~~~~~~~~~~~~~~~~\n" },
    { 8, "    workers: \"três\" # четыре",
      "t.yaml:8:14: 'workers' must be a whole number from 1 to 64, not 'três'\n"
      "    8 |     workers: \"três\" # четыре\n"
      "      |              ^~~~~~\n" },
    { 8, "    zażółć: 1",
      "t.yaml:8:5: unknown key 'zażółć' in pipeline 'uw'\n"
      "    8 |     zażółć: 1\n"
      "      |     ^~~~~~\n" },
};

Test(topology_errors, each_says_where_and_what_to_do)
{
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct parsed pd = parse_with(cases[i].line, cases[i].text);

        cr_expect_eq(pd.rc, -1, "taken: %s", cases[i].text);
        cr_expect_str_eq(pd.report.p, cases[i].report, "wanted:\n%sgot:\n%s", cases[i].report, pd.report.p);
        cr_expect_eq(pd.err.disp, PW_D_FATAL);
        cr_expect(strncmp(pd.err.text, cases[i].report, strcspn(cases[i].report, "\n")) == 0, "%s", pd.err.text);
        parsed_done(&pd);
    }
}

Test(topology_errors, all_of_a_file_come_in_one_report_in_the_order_of_the_lines)
{
    static const char        text[]  = "version: 2\n"
                                       "kafka: { debug: all }\n"
                                       "pipelines:\n"
                                       "  a:\n"
                                       "    workers: 0\n"
                                       "    source: { topics: [], group: g }\n"
                                       "    plugni: { path: x.so }\n"
                                       "  a: {}\n";
    struct parsed            pd      = parse_text(text, sizeof(text) - 1);
    const char              *at      = pd.report.p;
    static const char *const wants[] = {
        "t.yaml:1:1: required key 'postgres' is missing at the top level\n",
        "t.yaml:1:10: 'version' must be 1, not '2'\n",
        "t.yaml:2:1: required key 'bootstrap.servers' is missing in 'kafka'\n",
        "t.yaml:2:10: librdkafka property 'debug' cannot be set",
        "t.yaml:5:14: 'workers' must be",
        "t.yaml:6:23: 'source.topics' must be",
        "t.yaml:7:5: unknown key 'plugni' in pipeline 'a'; did you mean 'plugin'?\n",
        "t.yaml:8:3: key 'a' is there twice; the first is in line 4\n",
    };
    size_t n = 0;

    for (size_t i = 0; i < sizeof(wants) / sizeof(wants[0]); i++) {
        at = strstr(at, wants[i]);
        cr_assert_not_null(at, "not there, or not in its place: %s\n%s", wants[i], pd.report.p);
    }
    for (at = pd.report.p; (at = strstr(at, "t.yaml:")); at++)
        n++;
    cr_assert_eq(n, sizeof(wants) / sizeof(wants[0]), "%s", pd.report.p);
    parsed_done(&pd);
}

Test(topology_errors, a_broken_file_tells_what_was_found_before_the_break)
{
    struct parsed pd = parse_with(6, "    workers: *none\n    source: [");

    assert_says(pd, "t.yaml:6:14: alias 'none' has no anchor before it");
    assert_says(pd, "t.yaml:9:1: did not find expected ',' or ']' (while parsing a flow sequence that begins in line 7)");
    cr_assert_null(strstr(pd.report.p, "missing"), "what was not read cannot be missing: %s", pd.report.p);
    parsed_done(&pd);
}

Test(topology_errors, more_than_a_hundred_are_counted)
{
    struct pw_buf text = { 0 };
    struct parsed pd;
    size_t        n = 0;

    for (int i = 0; i < 100; i++)
        pw_buf_printf(&text, "    x%03d-nothing-like-it: 1\n", i);
    pd = parse_with(8, text.p);
    cr_assert_null(strstr(pd.report.p, "more errors"));
    for (const char *at = pd.report.p; (at = strstr(at, "unknown key")); at++)
        n++;
    cr_assert_eq(n, 100);
    parsed_done(&pd);

    pw_buf_puts(&text, "    yyyyyyyyyyyy: 1\n    zzzzzzzzzzzz: 1\n");
    pd = parse_with(8, text.p);
    assert_says(pd, "t.yaml: and 2 more errors\n");
    cr_assert_null(strstr(pd.report.p, "zzzz"));
    parsed_done(&pd);
    pw_buf_done(&text);
}

Test(topology_errors, a_long_line_is_cut_around_the_caret)
{
    struct pw_buf text = { 0 };
    struct parsed pd;

    pw_buf_puts(&text, "    outputs: { ");
    for (int i = 0; i < 30; i++)
        pw_buf_printf(&text, "output-number-%02d: topic, ", i);
    pw_buf_puts(&text, "BAD: topic, ");
    for (int i = 30; i < 60; i++)
        pw_buf_printf(&text, "output-number-%02d: topic, ", i);
    pw_buf_puts(&text, "}");
    pd = parse_with(8, text.p);
    assert_says(pd, "t.yaml:8:766: output 'BAD' must be");
    assert_says(pd, "\n    8 | ...");
    assert_says(pd, "output-number-29: topic, BAD: topic, output-number-30: topic, ");
    assert_says(pd, "...\n      |    ");
    for (const char *line = pd.report.p; *line; line += strcspn(line, "\n") + 1)
        cr_assert_leq(strcspn(line, "\n"), 180);
    /* the caret is below the B */
    const char *shown = strstr(pd.report.p, "\n    8 | ") + 1, *caret = strstr(shown, "\n      | ") + 1;
    cr_assert_eq(strstr(shown, "BAD") - shown, strchr(caret, '^') - caret);
    cr_assert(strncmp(strchr(caret, '^'), "^~~\n", 4) == 0);
    parsed_done(&pd);
    pw_buf_done(&text);
}

Test(topology_errors, a_line_before_the_caret_keeps_its_tabs)
{
    struct parsed pd = parse_with(8, "    batch: {\tlinger: 10 }");

    assert_says(pd, "    8 |     batch: {\tlinger: 10 }\n      |             \t        ^~\n");
    parsed_done(&pd);
}

Test(topology_errors, carriage_returns_are_not_shown)
{
    struct parsed pd = parse_with(8, "    workers: 0\r");

    assert_says(pd, "    8 |     workers: 0\n      |              ^\n");
    parsed_done(&pd);
}

Test(topology_errors, the_same_fault_by_two_aliases_is_told_once)
{
    struct parsed pd = parse_with(8, "    retry: &r { attempts: 0 }\n  vv:\n    source: { topics: [in], group: h }\n"
                                     "    plugin: { path: uw.so }\n    retry: *r");

    assert_says(pd, "t.yaml:8:27: 'retry.attempts' must be");
    cr_assert_null(strstr(strstr(pd.report.p, "attempts' must") + 1, "attempts' must"));
    parsed_done(&pd);
}

Test(topology_errors, a_file_of_nothing_is_said_to_be_empty)
{
    static const char *const texts[] = { "", "\n\n", "# only a comment\n", "---\n", "null\n" };

    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        struct parsed pd = parse_text(texts[i], strlen(texts[i]));

        assert_says(pd, ": the file is empty\n");
        parsed_done(&pd);
    }
}

Test(topology_errors, a_file_that_is_no_mapping_is_told_how_one_begins)
{
    struct parsed pd = parse_text("- a\n", 4);

    cr_assert_str_eq(pd.report.p, "t.yaml:1:1: a topology must be a mapping that begins with 'version: 1', not a list\n"
                                  "    1 | - a\n      | ^\n");
    parsed_done(&pd);
}

Test(topology_errors, bytes_that_are_no_text_are_refused_by_place)
{
    static const struct {
        const char *text;
        size_t      n;
        const char *says;
    } bad[] = {
        { "version: 1\nx: \xff\n", 16, "t.yaml:2:4: byte 0xff is not UTF-8\n" },
        { "version: 1\nx: \xc0\xaf\n", 17, "t.yaml:2:4: byte 0xc0 is not UTF-8\n" },
        { "version: 1\nx: \xed\xa0\x80\n", 18, "t.yaml:2:4: byte 0xed is not UTF-8\n" },
        { "version: 1\nx: \xe2\x82", 16, "t.yaml:2:4: byte 0xe2 is not UTF-8\n" },
        { "version: 1\nx: \0y\n", 17, "t.yaml:2:4: U+0000 is a control character or is invisible; remove it\n" },
        { "version: 1\nx: \x1b[0m\n", 19, "t.yaml:2:4: U+001B is a control character or is invisible; remove it\n" },
        { "version: 1\rx: y\n", 16, "t.yaml:1:11: U+000D is a control character or is invisible; remove it\n" },
        { "version: 1 # \xe2\x80\xa8\n", 17, "t.yaml:1:14: U+2028 is a control character or is invisible; remove it\n" },
        { "version: 1 # \xe2\x80\xae\n", 17, "t.yaml:1:14: U+202E is a control character or is invisible; remove it\n" },
        { "\xff\xfe"
          "v\0",
          4, "t.yaml:1:1: byte 0xff is not UTF-8\n" }, /* UTF-16 */
    };

    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct parsed pd = parse_text(bad[i].text, bad[i].n);

        cr_expect_str_eq(pd.report.p, bad[i].says, "%zu: %s", i, pd.report.p);
        parsed_done(&pd);
    }
}
