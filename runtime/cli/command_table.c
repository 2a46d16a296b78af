/* The rows of the command table: what every command is called, takes and answers. */
#include "cli/commands.h"

/* Which dead letters. */
#define DLQ_FILTERS                                                                                                           \
    { "--code", "GLOB", "Whose code is this; * is any text, ? one character." },                                              \
        { "--since", "TIME",                                                                                                  \
          "Set aside then or later: 2026-03-01T12:30:00Z (parts from the right may be left out), or 2h for two hours ago." }, \
        { "--until", "TIME", "Set aside before then." }, { "--key", "TEXT", "Whose key is this." },                           \
        { "--plugin", "GLOB", "Of this plugin: its id, or id/version." }, { "--topic", "TOPIC", "From this source topic." },  \
        { "--partition", "N", "From this partition." },                                                                       \
    {                                                                                                                         \
        "--offset", "N", "From this offset."                                                                                  \
    }

const struct pw_command pw_commands[PW_CMD_N] = {
    [PW_CMD_run] = {
        .name = "run", .arg = "TOPOLOGY", .flags = PW_CLI_REQUIRED,
        .summary = "Run the pipelines of a topology.",
        .text = "Starts a supervisor and its workers and stays in the foreground. SIGTERM or SIGINT drains: workers finish what they have\n"
                "begun, within drain_timeout. A second one stops at once. Nothing is lost either way. SIGHUP reloads, as `pawl reload` does.",
        .exits = "0  drained\n64  wrong usage\n70  failed\n75  another process uses the same instance name\n78  the topology, a plugin or its "
                 "configuration is wrong",
        .opts = {
            { "--log-level", "LEVEL", "Least level that is logged: debug, info, warn or error." },
            { "--log-format", "FORMAT", "text or json." },
        },
    },
    [PW_CMD_validate] = {
        .name = "validate", .arg = "TOPOLOGY", .flags = PW_CLI_REQUIRED,
        .summary = "Check a topology without running it.",
        .text = "Prints all errors of the file, each with its line, column and excerpt. It connects to nothing.",
        .exits = "0  right\n1  wrong\n64  wrong usage",
        .opts = {
            { "--plugins", NULL, "Load each plugin too, in a process of its own, and check its configuration." },
        },
    },
    [PW_CMD_schema] = {
        .name = "schema",
        .summary = "Print the JSON Schema of the topology file.",
        .text = "For editors: with it they complete keys and underline mistakes.",
        .exits = "0  printed\n64  wrong usage",
        .opts = {
            { "--manual", NULL, "Print the reference of the file in Markdown instead." },
        },
    },
    [PW_CMD_migrate] = {
        .name = "migrate", .arg = "TOPOLOGY", .flags = PW_CLI_REQUIRED,
        .summary = "Bring the database to the schema that the runtime and the plugins need.",
        .text = "Applies the steps that are missing, the runtime's own first, then those of each pipeline's plugin. Each step is one\n"
                "transaction; several processes may do it at a time. Run it before the first start and with every new version.",
        .exits = "0  up to date\n1  failed; the message names the step\n64  wrong usage\n75  failed for now: PostgreSQL does not answer, or a lock is held\n78  the topology "
                 "or a plugin is wrong",
        .opts = {
            { "--dry-run", NULL, "Only print what would be applied." },
        },
    },
    [PW_CMD_status] = {
        .name = "status", .arg = "TOPOLOGY",
        .summary = "Show what a running supervisor and its workers do.",
        .text = "What is wrong comes first. Asks over the control socket in the run directory, which a topology names.",
        .exits = "0  ready: all workers have their partitions, and none is halted\n1  not ready, nothing runs there, or it does not answer\n64  wrong "
                 "usage\n78  the topology is wrong",
        .opts = {
            { "--json", NULL, "Print JSON; docs/status.md describes it." },
            { "--run-dir", "DIR", "The run directory, instead of a topology." },
        },
    },
    [PW_CMD_top] = {
        .name = "top", .arg = "TOPOLOGY",
        .summary = "Watch a running supervisor: throughput, lag, errors, workers.",
        .text = "Pipelines, partitions or workers, anew each second, with rates since the look before. Keys: q ends, p holds the picture, tab or\n"
                "left and right or 1, 2 and 3 choose the view, s sorts by the next column, r the other way round, up and down scroll. Without a\n"
                "terminal it prints all three once. NO_COLOR is heeded.",
        .exits = "0  ended\n1  nothing runs there, or it does not answer\n64  wrong usage\n78  the topology is wrong",
        .opts = {
            { "--interval", "SECONDS", "Time between two looks, from 0.1 on. Default: 1." },
            { "--once", NULL, "Print all once, after one interval, and end." },
            { "--run-dir", "DIR", "The run directory, instead of a topology." },
        },
    },
    [PW_CMD_reload] = {
        .name = "reload", .arg = "TOPOLOGY",
        .summary = "Take new plugins, configurations and settings into use without a restart.",
        .text = "Asks the running supervisor to read topology and plugins again, and waits until each pipeline has come to its end: unchanged,\n"
                "reloaded, refused, or rolled back, and why. Each new version is probed first, takes over worker by worker, and is on\n"
                "probation then. Whatever fails leaves the version before running. SIGHUP to the supervisor does the same and logs it.",
        .exits = "0  all that was asked for took effect\n1  something was refused or rolled back, or nothing runs there\n64  wrong usage\n75  another reload is under way\n78  "
                 "the topology is wrong",
        .opts = {
            { "--plugin", "NAME", "Only this pipeline, or those with this plugin: its id or its file's name." },
            { "--run-dir", "DIR", "The run directory, instead of a topology." },
        },
    },
    [PW_CMD_leave] = {
        .name = "leave", .arg = "TOPOLOGY",
        .summary = "Stop a runtime for good: its partitions go to others at once.",
        .text = "Asks the running supervisor to drain, as SIGTERM does, and its workers to leave their groups; waits until they have ended. After\n"
                "SIGTERM a runtime's places in the groups are kept for it until session.timeout.ms: that is right for a restart under the same\n"
                "instance name. This is right if nobody comes back under that name, or not soon.",
        .exits = "0  they have left\n1  some did not end in time, or nothing runs there\n64  wrong usage\n78  the topology is wrong",
        .opts = {
            { "--run-dir", "DIR", "The run directory, instead of a topology." },
        },
    },
    [PW_CMD_log_level] = {
        .name = "log-level", .arg = "TOPOLOGY", .arg2 = "LEVEL", .flags = PW_CLI_ARG2_MAY,
        .summary = "Change how much a running supervisor and its workers log.",
        .text = "LEVEL is debug, info, warn or error, or default: as configured. Takes effect within 0.1 s, and holds until --for is over, another\n"
                "log-level or a restart of the supervisor; a worker that is started again has it, too. `pawl status` shows it.",
        .exits = "0  changed\n1  nothing runs there, or it has no such pipeline\n64  wrong usage\n78  the topology is wrong",
        .opts = {
            { "--pipeline", "NAME", "Only the workers of this pipeline. Without it: all, and the supervisor itself." },
            { "--for", "TIME", "So long, such as 10m; then as configured. At most 7d." },
            { "--run-dir", "DIR", "The run directory, instead of a topology: pawl log-level LEVEL --run-dir DIR." },
        },
    },
    [PW_CMD_offsets_show] = {
        .name = "offsets show", .arg = "TOPOLOGY", .flags = PW_CLI_REQUIRED,
        .summary = "Show where the partitions of a group stand.",
        .text = "From PostgreSQL: the next offset of each partition, its owner, and what waits in the outbox. From Kafka, if it answers: the\n"
                "first and the end offset of the log, and so the lag and any gap.",
        .exits = "0  shown\n1  failed\n64  wrong usage\n75  PostgreSQL does not answer\n78  the topology is wrong",
        .opts = {
            { "--pipeline", "NAME", "Only this pipeline." },
            { "--json", NULL, "Print JSON." },
        },
    },
    [PW_CMD_offsets_set] = {
        .name = "offsets set", .arg = "TOPOLOGY", .flags = PW_CLI_REQUIRED,
        .needs = { "--pipeline", "--topic", "--partition", "--to", "--reason" },
        .summary = "Let a partition go on at another offset.",
        .text = "Prints which events will be applied again or never, then stores the offset and records the decision in pawl.decisions, in one\n"
                "transaction. A worker that has the partition is fenced and goes on at the new offset by itself. Refused while a worker that owns\n"
                "the partition is connected, unless the pipeline is paused or drained.",
        .exits = "0  stored\n1  refused or failed; nothing was changed\n64  wrong usage\n75  PostgreSQL or Kafka does not answer, or the row is locked\n78  the "
                 "topology is wrong",
        .opts = {
            { "--pipeline", "NAME", "Pipeline of the topology." },
            { "--topic", "TOPIC", "Source topic." },
            { "--partition", "N", "Its partition." },
            { "--to", "OFFSET", "The next offset to apply, inside the log: a number, earliest or latest." },
            { "--reason", "TEXT", "Why; it is recorded." },
            { "--dry-run", NULL, "Only print what would be changed." },
        },
    },
    [PW_CMD_offsets_accept_gap] = {
        .name = "offsets accept-gap", .arg = "TOPOLOGY", .flags = PW_CLI_REQUIRED,
        .needs = { "--pipeline", "--reason" },
        .summary = "Let partitions go on behind a gap in their log.",
        .text = "For partitions whose next offset is not in the log: below its start, they go on at its start; above its end, at its end. Prints\n"
                "the exact range that is missing first. Refused where there is no gap, and while a worker that owns the partition is connected,\n"
                "unless the pipeline is paused or drained. Recorded in pawl.decisions; a halted partition comes back by itself.",
        .exits = "0  stored\n1  no gap, refused or failed; nothing was changed\n64  wrong usage\n75  PostgreSQL or Kafka does not answer, or the row is locked\n78  "
                 "the topology is wrong",
        .opts = {
            { "--pipeline", "NAME", "Pipeline of the topology." },
            { "--topic", "TOPIC", "Only one partition: of this topic," },
            { "--partition", "N", "and with this number. Without both: all that have a gap." },
            { "--reason", "TEXT", "Why; it is recorded." },
            { "--dry-run", NULL, "Only print what would be changed." },
        },
    },
    [PW_CMD_offsets_restored] = {
        .name = "offsets restored", .arg = "TOPOLOGY", .flags = PW_CLI_REQUIRED,
        .needs = { "--pipeline", "--reason" },
        .summary = "Decide what counts as published when PostgreSQL and the group's offset do not fit.",
        .text = "For partitions where more was published than PostgreSQL has rows for, since the database was restored to the past: messages\n"
                "are applied again and make their rows again, which are then skipped or published again. And for partitions whose group offset\n"
                "was lost while rows waited. Prints which rows it is about first. Refused where both fit, and while a worker that owns the\n"
                "partition is connected, unless the pipeline is paused or drained. Recorded in pawl.decisions; a halted partition comes back\n"
                "by itself.",
        .exits = "0  stored\n1  nothing to decide, refused or failed; nothing was changed\n64  wrong usage\n75  PostgreSQL or Kafka does not answer, or the "
                 "row is locked\n78  the topology is wrong",
        .opts = {
            { "--pipeline", "NAME", "Pipeline of the topology." },
            { "--skip-published", NULL, "What was published is not published again. Right only if plugins answer the same messages in the same way." },
            { "--republish", NULL, "It is published again: readers see it twice." },
            { "--topic", "TOPIC", "Only one partition: of this topic," },
            { "--partition", "N", "and with this number. Without both: all where something is to be decided." },
            { "--reason", "TEXT", "Why; it is recorded." },
            { "--dry-run", NULL, "Only print what would be changed." },
        },
    },
    [PW_CMD_dlq_list] = {
        .name = "dlq list", .arg = "TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED | PW_CLI_ARG2_MAY,
        .summary = "Show the dead letters: how many and why, then each.",
        .text = "From PostgreSQL. Counts by state, code and plugin come first, then the letters by topic, partition and offset. Without a\n"
                "pipeline: of all. Without --state: those that nobody has decided about. AGAIN is how often a message was sent again before.",
        .exits = "0  shown\n1  failed\n64  wrong usage\n75  PostgreSQL does not answer\n78  the topology is wrong",
        .opts = {
            DLQ_FILTERS,
            { "--state", "STATE", "open, redriven, dropped or all. Default: open." },
            { "--limit", "N", "Show so many letters; 0: only the counts. Default: 50." },
            { "--newest", NULL, "The letters that were set aside last come first." },
            { "--bare", NULL, "Leave out keys, reasons and notes, which may quote a message." },
            { "--json", NULL, "Print JSON." },
        },
    },
    [PW_CMD_dlq_show] = {
        .name = "dlq show", .arg = "TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED,
        .needs = { "--partition", "--offset" },
        .summary = "Show one dead letter with its record and its history.",
        .text = "Prints why it was set aside, what was decided about it, where it was before it was sent again, and headers, key and value: as\n"
                "text if they are text, else in hexadecimal. What is in a message is shown as it came; mind who looks on.",
        .exits = "0  shown\n1  there is none, or failed\n64  wrong usage\n75  PostgreSQL does not answer\n78  the topology is wrong",
        .opts = {
            { "--topic", "TOPIC", "Source topic; without it, all of the pipeline." },
            { "--partition", "N", "Its partition." },
            { "--offset", "N", "Offset of the message." },
            { "--seq", "N", "Row of the outbox, if one offset has several." },
            { "--raw", "FILE", "Write the value, byte by byte, to this new file, which only its owner can read." },
        },
    },
    [PW_CMD_dlq_redrive] = {
        .name = "dlq redrive", .arg = "TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED,
        .summary = "Send dead letters to their topic again, each once.",
        .text = "Prints the counts first and asks nothing: look with --dry-run. Takes open dead letters in the order of their source and marks them;\n"
                "the pipeline's worker publishes them into the partition that they came from, so each arrives once, whatever dies. What is\n"
                "marked is not taken again: the same command goes on where another one was stopped. A message whose key has an open dead letter\n"
                "before it that is not chosen is refused. Only the pipeline's own group applies them; see docs/delivery.md about other readers.",
        .exits = "0  done, or nothing to do\n1  some were refused, or failed\n64  wrong usage\n75  PostgreSQL does not answer, stopped by a "
                 "signal, or not published within --wait; the same command goes on\n78  the topology is wrong",
        .opts = {
            DLQ_FILTERS,
            { "--limit", "N", "At most so many. Default: 1000000." },
            { "--rate", "N", "So many a second, in small transactions. Default: as fast as it goes." },
            { "--out-of-order", NULL, "Also where an earlier dead letter of the same key stays behind." },
            { "--wait", "SECONDS", "Return when Kafka has them all, at most so much later." },
            { "--reason", "TEXT", "Why; it is recorded." },
            { "--dry-run", NULL, "Only print what would be sent." },
        },
    },
    [PW_CMD_dlq_drop] = {
        .name = "dlq drop", .arg = "TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED,
        .needs = { "--reason" },
        .summary = "Give dead letters up: the record stays, value and headers go.",
        .text = "Place, key, code and reason stay in PostgreSQL, with who dropped it and why; value and headers are cleared. Only what its\n"
                "dead-letter topic has by now; the copy there is not touched.",
        .exits = "0  done, or nothing to do\n1  failed\n64  wrong usage\n75  PostgreSQL does not answer, or some are not in their topic yet\n78  the topology is wrong",
        .opts = {
            DLQ_FILTERS,
            { "--all", NULL, "All open ones; needed when nothing chooses." },
            { "--reason", "TEXT", "Why; it is recorded." },
            { "--dry-run", NULL, "Only print what would be dropped." },
        },
    },
    [PW_CMD_pause] = {
        .name = "pause", .arg = "TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED,
        .summary = "Let the workers of a pipeline begin no batch.",
        .text = "Stored in PostgreSQL: it counts for all workers of the pipeline wherever they run, and survives restarts. They notice within a\n"
                "second, finish the batch in hand, and keep their partitions and their place in the group. Returns at once.",
        .exits = "0  stored\n1  failed\n64  wrong usage\n75  PostgreSQL does not answer\n78  the topology is wrong",
        .opts = {
            { "--reason", "TEXT", "Why; it is recorded, and `pawl status` shows it." },
        },
    },
    [PW_CMD_resume] = {
        .name = "resume", .arg = "TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED,
        .summary = "Let a paused or drained pipeline go on.",
        .text = "Workers notice within a second and go on where they stand. One that a storm of crashes has stopped on this host starts again.",
        .exits = "0  stored\n1  failed\n64  wrong usage\n75  PostgreSQL does not answer\n78  the topology is wrong",
        .opts = {
            { "--reason", "TEXT", "Why; it is recorded." },
        },
    },
    [PW_CMD_drain] = {
        .name = "drain", .arg = "TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED,
        .summary = "Pause a pipeline, wait until its workers are idle, and print where they stopped.",
        .text = "As `pawl pause`, and then waits until each connected worker has finished the batch in hand and said so. What was fetched and not\n"
                "begun stays unapplied. Offsets do not move after that until `pawl resume`, also over restarts.",
        .exits = "0  all workers are idle\n1  failed\n64  wrong usage\n75  PostgreSQL does not answer, or workers are busy after the wait; they stay drained\n78  "
                 "the topology is wrong",
        .opts = {
            { "--reason", "TEXT", "Why; it is recorded, and `pawl status` shows it." },
            { "--wait", "SECONDS", "How long to wait. Default: 60." },
        },
    },
    [PW_CMD_audit] = {
        .name = "audit", .arg = "TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED | PW_CLI_ARG2_MAY,
        .summary = "Prove from the receipts that each offset has exactly one fate.",
        .text = "Walks the receipts of each partition: hashes, numbers without holes, ranges that join, counts, dead letters one to one, outbox\n"
                "rows, and the position itself. Prints what does not fit, and one line per pipeline. Reads one snapshot, so it runs beside live\n"
                "workers. What it can find and what not: docs/audit.md.",
        .exits = "0  no problem\n1  problems were found, or it failed\n64  wrong usage\n75  PostgreSQL or Kafka does not answer\n78  the topology is wrong",
        .opts = {
            { "--topic", "TOPIC", "Only this source topic." },
            { "--partition", "N", "Only this partition of it." },
            { "--json", NULL, "Print JSON." },
            { "--log", NULL, "Read the topics, too: holes must be holes, and records must not be called so." },
            { "--since", "TIME", "Only receipts from that time on, and the one before." },
            { "--tip", NULL, "Only print the last receipt of each partition, to be kept elsewhere: group, topic, partition, n, hash." },
            { "--since-tip", "FILE", "Check that the chains continue the tips in this file." },
            { "--compact", NULL, "If there is no problem: fold old receipts into few rows that say the same. Recorded in pawl.decisions." },
            { "--before", "TIME", "For --compact: older ones than that." },
            { "--dry-run", NULL, "For --compact: only print what would be folded." },
        },
    },
    [PW_CMD_explain] = {
        .name = "explain", .arg = "TOPOLOGY", .arg2 = "TOPIC", .rest = "PARTITION OFFSET", .flags = PW_CLI_REQUIRED | PW_CLI_ARG2_MAY,
        .summary = "Tell what became of one event.",
        .text = "In each pipeline that reads it: the verdict; the batch with its time, worker and version of the plugin; a dead letter, what was\n"
                "decided about it and what became of that; outputs, and where they are in their topics. What is not recorded, and what retention\n"
                "has removed, is said. 'TOPIC[PARTITION]@OFFSET', as logs have it, will do, too. Reads PostgreSQL and Kafka, changes nothing, and\n"
                "moves no position. The record is shown without its payload.",
        .exits = "0  told\n1  no such event, or failed\n64  wrong usage\n75  PostgreSQL does not answer\n78  the topology is wrong",
        .opts = {
            { "--id", "EVENT", "The event with this id, as the pipeline's dedupe knows it." },
            { "--since", "TIME", "With --id: also read the topics from that time on, for all records with the id: 2026-03-01T12:30, or 2h." },
            { "--pipeline", "NAME", "Only in this pipeline." },
            { "--follow", NULL, "Go on with its outputs, in the pipelines of the topology that read them." },
            { "--payload", NULL, "Show the payload, too; mind who looks on." },
            { "--wait", "SECONDS", "How long each topic may be searched for what it left. Default: 10." },
            { "--json", NULL, "Print JSON; docs/explain.md describes it." },
        },
    },
    [PW_CMD_plugin_new] = {
        .name = "plugin new", .arg = "FOLDER", .flags = PW_CLI_REQUIRED,
        .summary = "Begin a plugin: a folder that builds, tests and runs as it is.",
        .text = "Makes the folder, whose last part is the plugin's name: the plugin, its configuration, a migration, cases, a topology and a README,\n"
                "which says how to go on.",
        .exits = "0  made\n1  failed\n64  wrong usage",
        .opts = {
            { "--lang", "LANGUAGE", "c, c++ or rust. Default: c." },
            { "--payload", "FORMAT", "What its messages are: protobuf or json. Default: protobuf." },
        },
    },
    [PW_CMD_plugin_inspect] = {
        .name = "plugin inspect", .arg = "FILE.so", .flags = PW_CLI_REQUIRED,
        .summary = "Show what a plugin is and what it may do.",
        .text = "What the file says of itself is read without running it; its descriptor is read in a process of its own, which may crash. Options,\n"
                "statements with the relations that they name, outputs, migrations, and what `pawl plugin lint` finds. The JSON is described in\n"
                "docs/plugins/inspect.md.",
        .exits = "0  shown\n1  no plugin, or one that does not load; the findings say why\n64  wrong usage",
        .opts = {
            { "--json", NULL, "Print JSON." },
        },
    },
    [PW_CMD_plugin_lint] = {
        .name = "plugin lint", .arg = "FILE.so", .flags = PW_CLI_REQUIRED,
        .summary = "Check a plugin for what will be refused or will go wrong later.",
        .text = "Errors are what the runtime refuses. Warnings are symbols that leak, tables without a schema, columns that are counted and not\n"
                "named, options without a text. Notes are only to be known.",
        .exits = "0  no error and no warning\n1  some\n64  wrong usage",
    },
    [PW_CMD_plugin_diff] = {
        .name = "plugin diff", .arg = "OLD.so", .arg2 = "NEW.so", .flags = PW_CLI_REQUIRED,
        .summary = "Show what a new version of a plugin may do that the old one could not.",
        .text = "New and changed statements with the relations that they name, outputs, migrations and libraries; what is gone; what the new version\n"
                "needs: options, topics, a schema version.",
        .exits = "0  the same rights\n1  other rights\n64  wrong usage\n78  one of them is no plugin that loads",
    },
    [PW_CMD_plugin_test] = {
        .name = "plugin test", .arg = "FILE|FOLDER", .flags = PW_CLI_REQUIRED,
        .summary = "Run a plugin's cases: a message and the rows that it finds, and what the plugin then does.",
        .text = "Needs neither Kafka nor PostgreSQL. A case is run twice, and must come to the same. Of a folder, all .yaml files. Prints what\n"
                "differs. Each file runs in a process of its own. The format is described in docs/plugins/testing.md.",
        .exits = "0  as expected\n1  something is not, or a file is wrong\n64  wrong usage",
        .opts = {
            { "--plugin", "FILE.so", "The plugin, instead of the one that the file names." },
            { "--config", "FILE", "Its configuration, where the file names none." },
            { "--update", NULL, "Write what came out into the files." },
            { "--database", NULL, "Also run the SQL of the cases that have a key 'database', in a private PostgreSQL with the plugin's migrations." },
        },
    },
    [PW_CMD_plugin_replay] = {
        .name = "plugin replay", .arg = "FILE|TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED | PW_CLI_ARG2_MAY,
        .summary = "Run a plugin once more with messages that it has had.",
        .text = "With a recording: each message with the rows that were recorded, and whether it still comes to the same. Needs neither Kafka nor\n"
                "PostgreSQL. With a topology and a pipeline: a message of its source topic, or a dead letter by its place in the source or in the\n"
                "dead-letter topic, with the rows that are there now, in a transaction that only reads. Prints verdict, writes and outputs;\n"
                "nothing of them is done. --record keeps message and rows in a file of cases for `pawl plugin test` and for this command. The\n"
                "plugin runs in the process of the command, so `gdb --args pawl plugin replay ...` stops in it.",
        .exits = "0  replayed, and as recorded\n1  something is not, or failed\n64  wrong usage\n75  PostgreSQL or Kafka does not answer\n78  the topology is wrong",
        .opts = {
            { "--plugin", "FILE.so", "The plugin, instead of the one that the file or the topology names." },
            { "--config", "FILE", "Its configuration, where the file names none, or instead of the topology's." },
            { "--case", "TEXT", "Only cases with this text in their name." },
            { "--diff", "OLD.so", "Instead of with what was recorded, compare with what this version comes to. Each in a process of its own." },
            { "--gdb", NULL, "Under gdb: set breakpoints, then `run`." },
            { "--topic", "TOPIC", "Source topic, or the pipeline's dead-letter topic; needed if there are several source topics." },
            { "--partition", "N", "Its partition." },
            { "--offset", "N", "Offset of the message." },
            { "--seq", "N", "Row of the outbox, if one offset has several." },
            { "--count", "N", "So many messages from there on, at most 1000. Default: 1." },
            { "--record", "FILE", "Write them to this new file, which only its owner can read." },
            { "--like", "FILE", "A file of cases: values are shown and recorded in its formats." },
        },
    },
    [PW_CMD_plugin_shadow_report] = {
        .name = "plugin shadow report", .arg = "TOPOLOGY", .arg2 = "PIPELINE", .flags = PW_CLI_REQUIRED,
        .summary = "Show what a candidate beside the plugin comes to, and where it differs.",
        .text = "Counts, the last crash, and the last messages with which the candidate came to something else, with their coordinates and what\n"
                "differs (-: the plugin, +: the candidate). What is in messages is shown as it came. --record keeps them with the rows that the\n"
                "plugin saw, for `pawl plugin replay`.",
        .exits = "0  shown\n1  nothing runs there, or no candidate; or there is nothing to record\n64  wrong usage\n78  the topology is wrong",
        .opts = {
            { "--record", "FILE", "Write those messages to this new file, which only its owner can read." },
        },
    },
    [PW_CMD_generate_rules] = {
        .name = "generate rules", .arg = "TOPOLOGY", .flags = PW_CLI_REQUIRED,
        .summary = "Print rules for Prometheus that watch what the topology promises.",
        .text = "For each pipeline, from its slo: which share of the time it did not work, which share of its events was late, and alerts for\n"
                "when the error budget of 30 days burns too fast, each with a long and a short window. Load them beside\n"
                "deploy/prometheus/pawl.rules.yml. It connects to nothing.",
        .exits = "0  printed\n1  the topology is wrong\n64  wrong usage",
    },
    [PW_CMD_demo] = {
        .name = "demo",
        .summary = "Show it: events through Kafka into PostgreSQL, then an audit.",
        .text = "Sends seeded policy events by gRPC to a gateway, and so through Kafka and two pipelines, underwriting and billing, into a private\n"
                "PostgreSQL. The gateway is killed on the way, workers if told so; the client sends again what has no answer. With a real Kafka it\n"
                "begins with a bad release of underwriting that dies of two events more. When all else is applied, the good release takes over, and\n"
                "`pawl dlq redrive` sends the two again. Then the months are closed, and independent oracles work out premiums, books and acts a\n"
                "second time from the events alone. The last line is their verdict. Needs an installed PostgreSQL server, and Python 3 for the\n"
                "oracles; without it the line says `unchecked`. Leaves nothing behind.",
        .exits = "0  nothing lost, duplicated or disordered, all accounted for, and all as the oracles have it\n1  failed\n64  wrong usage",
        .opts = {
            { "--kafka", "HOST:PORT", "A real Kafka; the demo makes its own topics there and deletes them. Without it: a mock broker." },
            { "--events", "N", "Events in all. Default: 10000." },
            { "--bad", "N", "Of them, so many that must be refused, by the gateway or by underwriting. Default: 10." },
            { "--duplicates", "N", "Good ones that are sent twice. Default: 100." },
            { "--seed", "N", "The same seed makes the same events. Default: 42." },
            { "--rate", "N", "Events a second; 0: as fast as the broker takes them. Default: 2000." },
            { "--kills", "N", "SIGKILL a worker so many times; needs --kafka. Default: 0." },
            { "--gateway-kills", "N", "SIGKILL the gateway so many times. Default: 2." },
            { "--keep", NULL, "When all is done, leave everything running until Ctrl-C, and say how to look around." },
            { "--dir", "DIR", "Work in this new folder and leave logs and tables there." },
        },
    },
    [PW_CMD_worker] = {
        .name = "worker", .flags = PW_CLI_HIDDEN,
        .summary = "One worker; the supervisor starts it.",
        .text = "Not for people: the descriptors it is given come from the supervisor.",
        .exits = "0  drained\n70  failed\n75  fenced\n78  configuration",
        .opts = {
            { "--pipeline", "NAME", "Pipeline of the topology." },
            { "--slot", "N", "Number among the pipeline's workers." },
            { "--generation", "N", "Configuration it belongs to." },
            { "--topology", "FILE", "Name of the topology, for messages." },
            { "--topology-fd", "FD", "The topology's bytes." },
            { "--blackbox-fd", "FD", "Shared page." },
            { "--control-fd", "FD", "Line to the supervisor." },
            { "--plugin", "FILE", "Staged plugin." },
            { "--config", "FILE", "Staged configuration of the plugin." },
            { "--middleware", "LINES", "Staged files of its middleware, and their configurations." },
            { "--role", "ROLE", "standby or probe." },
            { "--slot-fd", "FD", "With standby: the slot's shared page." },
            { "--state-fd", "FD", "Where it hands its plugin's cache over." },
            { "--shadow-fd", "FD", "Samples for a candidate." },
            { "--probation", "N:N", "Rejections that are allowed, and a share of the messages, in millionths." },
        },
    },
    [PW_CMD_shadow] = {
        .name = "shadow", .flags = PW_CLI_HIDDEN,
        .summary = "One candidate; the supervisor starts it.",
        .text = "Not for people: the descriptors it is given come from the supervisor.",
        .exits = "78  configuration",
        .opts = {
            { "--pipeline", "NAME", "Pipeline of the topology." },
            { "--generation", "N", "Configuration it belongs to." },
            { "--blackbox-fd", "FD", "Its page." },
            { "--samples-fd", "FD", "Where samples come from." },
            { "--plugin", "FILE", "Staged candidate." },
            { "--config", "FILE", "Its staged configuration." },
            { "--sandbox", NULL, "As the pipeline's workers." },
        },
    },
#ifdef PW_FAULTS
    [PW_CMD_fault_points] = {
        .name = "fault-points", .flags = PW_CLI_HIDDEN,
        .summary = "List the fault points of this test build.",
        .text = "One a line: name, tab, what has happened by then.",
        .exits = "0  printed",
    },
#endif
};
