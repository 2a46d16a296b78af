/* demo: `pawl demo`: policy events through Kafka and the underwriting plugin into a private PostgreSQL while workers are
 * killed, then an audit by an independent oracle. It runs pawl from outside, as an operator would. */
#ifndef PW_CLI_DEMO_H
#define PW_CLI_DEMO_H

/* argv[0] is "demo". self: path of this binary. Returns the exit code: the oracle's, 1 for any other failure, 64 for wrong
 * options, 128 + signal when interrupted. The last line of stdout is the audit. */
int pw_demo_main(const char *self, int argc, char **argv);

#endif
