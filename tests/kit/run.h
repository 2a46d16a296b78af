/* run: what all tests of one binary share: brokers, a PostgreSQL cluster to copy, a folder, and the promise that nothing
 * outlives the binary. */
#ifndef KIT_RUN_H
#define KIT_RUN_H

/* main() of a test binary with real brokers. Starts them, runs Criterion, cleans up. Returns 77 (skipped) and says so
 * aloud when Java, Kafka's jars or PostgreSQL are missing. */
int kit_main(int argc, char **argv, int brokers);

const char *kit_dir(void);     /* of this run; removed at its end */
int         kit_brokers(void); /* how many there are */
const char *kit_pawl(void);    /* the binary under test; PAWL_TEST_BINARY overrides */
const char *kit_plugins(void); /* folder of the test plugins */

/* A private PostgreSQL of one test, on a unix socket, copied from the one that kit_main made. */
struct kit_pg;
struct kit_pg *kit_postgres_new(const char *dir);
void           kit_postgres_free(struct kit_pg *pg);
const char    *kit_postgres_dsn(const struct kit_pg *pg);
const char    *kit_postgres_login(const struct kit_pg *pg);  /* the DSN without host and port */
const char    *kit_postgres_socket(const struct kit_pg *pg); /* path of the socket */
void           kit_postgres_stop(struct kit_pg *pg, const char *mode);
void           kit_postgres_start(struct kit_pg *pg);
/* A base backup of the running server, made with pg_basebackup; one at a time. */
void kit_postgres_backup(struct kit_pg *pg);
/* The server is ended, and started again as it was backed up. */
void kit_postgres_restore(struct kit_pg *pg);
int  kit_postgres_pid(const struct kit_pg *pg);

/* Prints what the processes of the running test said last. */
void kit_last_words(void);

#endif
