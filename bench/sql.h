/* What both sides of the benchmark run, word for word; the plugin's statements and the loop's are the same text. */
#ifndef BENCH_SQL_H
#define BENCH_SQL_H

#define BENCH_POLICY_SQL                                                     \
    "INSERT INTO bench.policy (policy_id, status, premium_minor, event_us) " \
    "SELECT policy_id, status, premium_minor, event_us FROM rows "           \
    "ON CONFLICT (policy_id) DO UPDATE SET status = excluded.status, premium_minor = excluded.premium_minor, event_us = excluded.event_us"

#define BENCH_LEDGER_SQL                                                                                   \
    "INSERT INTO bench.ledger (source_partition, source_offset, policy_id, amount_minor, event_us, body) " \
    "SELECT source_partition::int, source_offset, policy_id, amount_minor, event_us, body FROM rows"

/* One event: 316 bytes. Numbers are big-endian. The key is the policy's id, as text. */
#define BENCH_EVENT_BYTES  316
#define BENCH_AT_EVENT_US  0  /* i64: wall clock at sending, microseconds */
#define BENCH_AT_PREMIUM   8  /* i64 */
#define BENCH_AT_AMOUNT    16 /* i64 */
#define BENCH_AT_STATUS    24 /* 8 bytes, padded with spaces */
#define BENCH_STATUS_BYTES 8
#define BENCH_AT_BODY      32 /* text; the ledger keeps the first 100 bytes */
#define BENCH_BODY_KEPT    100
#define BENCH_AT_NUMBER    308 /* i64: how many were sent before it */

#endif
