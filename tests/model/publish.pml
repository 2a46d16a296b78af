/* PostgreSQL to Kafka: the publisher, steps R1 to R6, with transactional producers, group offset and collected rows.
 *
 * One partition, two workers, each with a batch loop (commits outbox rows) and a publisher (sends them). What ingest.pml shows is taken as
 * given here: a batch commits as a whole, only under the last claim's epoch and from the last committed state, its rows numbered without
 * gaps. Every step can be delayed for as long as the verifier likes: a publisher that is stopped and resumed.
 * docs/model.md says what is left out and why that is sound. */
#include "invariants.h"

#ifndef ROWS
#define ROWS 3 /* outbox rows in all */
#endif
#ifndef FAULTS
#define FAULTS 2 /* kills, lost requests, lost answers, doubled requests: together */
#endif
#ifndef TIMEOUTS
#define TIMEOUTS 1 /* transactions that the broker ends by itself while their producer still works on them */
#endif
#ifndef MOVES
#define MOVES 1 /* how often the group gives the partition to the other worker */
#endif
#ifndef STRAYS
#define STRAYS 1 /* claims and new producers of a worker that does not own the partition any more */
#endif
#define BATCH 2 /* rows in one Kafka transaction, at most */
#define NOWHERE 255

#ifdef SAME_ID /* the other worker is a replacement: same static id, same transactional id */
#define TX(w) 0
#else
#define TX(w) (w)
#endif

bit I7_Published, I8_Position = WITHOUT_I8, I9_NotAhead, I10_Collected = WITHOUT_I10, I13_Tainted = WITHOUT_I13;
bit L2_AllPublished, L3_HaltCause = WITHOUT_L3;

/* ---- PostgreSQL ---- */

byte top;       /* outbox_seq: rows 1..top are committed */
byte collected; /* rows up to here are deleted */
#if defined(DB_RESTORE) || defined(OFFSET_EXPIRES)
byte known;     /* last position known to be published, kept beside */
#else
#define known collected /* no difference then */
#endif
bit  holds[2];  /* worker w's epoch is the last claim's, its state the last committed: its batches pass the fence */
bit  restored, skipped; /* went back to a backup; the operator chose: what was published is not published again */
#ifdef DB_RESTORE
byte old_top, old_collected, old_known; /* the backup */
bit  backed_up;
#endif

/* ---- Kafka ---- */

bit  owner;   /* of the partition, in the group */
bit  mine[2]; /* worker w is the member whom the broker knows as owner, by generation, member id and instance id */
#ifdef OFFSET_EXPIRES
byte position = NOWHERE; /* the group's committed offset */
#else
byte position;
#endif
bit  expired;

#define T_EMPTY  0
#define T_OPEN   1
#define T_COMMIT 2 /* decided: markers are on their way to the output topic and to the group's offsets */
#define T_ABORT  3
byte tx_state[2], tx_offset[2]; /* of a transactional id; the offset that goes with the transaction + 1, 0: none */
bit  tx_data_marked[2];
bit  tx_committed[2];           /* how the last one ended */
byte end_txn[2];                /* EndTxn(commit) on their way with the current producer epoch: late ones and copies among them */
bit  current[2];                /* worker w's producer has the current epoch of its transactional id */

/* The output topic from the first record on whose fate is open. A read_committed reader stands before it. */
#define LOG 6
byte log_row[LOG], log_n;
bit  log_tx[LOG], log_decided[LOG];
byte seen;    /* rows that the reader has seen: 1..seen, in order, each once */
byte decided; /* last row of the last transaction that was decided to commit */

/* ---- what the workers wait for, and budgets ---- */

bit  waiting[2]; /* worker w waits for an answer to EndTxn */
byte answer[2];
#define A_NONE   0
#define A_OK     1
#define A_FAILED 2
bit  inside[2];    /* worker w's producer will end its open transaction */
byte faults = FAULTS, timeouts = TIMEOUTS, moves = MOVES, strays = STRAYS;
bit  halted[2];
#ifdef OFFSET_EXPIRES
bit  up[2]; /* a member of the group */
#endif

/* The data marker of t: its records get their fate. Aborted ones are dropped at once, since every reader passes over them. The reader is
 * always as far as it can be: up to the first record whose fate is open. */
inline mark_data(t)
{
    n = 0; m = 0;
    do
    :: n < log_n ->
        if
        :: log_tx[n] == t && !log_decided[n] && tx_state[t] == T_COMMIT -> log_decided[n] = 1
        :: else
        fi;
        if
        :: log_tx[n] == t && !log_decided[n]
        :: !(log_tx[n] == t && !log_decided[n]) && m == 0 && log_decided[n] -> INV(I7_Published, log_row[n] == seen + 1); seen++
        :: else -> log_row[m] = log_row[n]; log_tx[m] = log_tx[n]; log_decided[m] = log_decided[n]; m++
        fi;
        n++
    :: else -> break
    od;
    do
    :: log_n > m -> log_n--; log_row[log_n] = 0; log_tx[log_n] = 0; log_decided[log_n] = 0
    :: else -> break
    od;
    n = 0; m = 0;
    tx_data_marked[t] = 1
}

inline last_row(t) /* of the open transaction, into m; 0: none */
{
    n = 0; m = 0;
    do
    :: n < log_n ->
        if
        :: log_tx[n] == t && !log_decided[n] -> m = log_row[n]
        :: else
        fi;
        n++
    :: else -> break
    od;
    n = 0
}

inline decide_commit(t)
{
    last_row(t);
    INV(I8_Position, tx_offset[t] == m + 1); /* position and rows in one transaction, and it is the last row's */
    if
    :: m > 0 -> decided = m
    :: else
    fi;
    tx_state[t] = T_COMMIT; tx_committed[t] = 1; m = 0
}

inline decide_abort(t)
{
    tx_state[t] = T_ABORT; tx_committed[t] = 0
}

/* An epoch bump fences the producers that had the id, and each EndTxn of theirs that is still on its way: it will have no effect but an
 * error for an answer, which may as well be there now. */
inline bump_worker(x, t)
{
    if
    :: TX(x) == t ->
        current[x] = 0;
        if
        :: waiting[x] && answer[x] == A_NONE -> answer[x] = A_FAILED
        :: else
        fi
    :: else
    fi
}

inline bump_epoch(t)
{
    bump_worker(0, t);
    bump_worker(1, t);
    end_txn[t] = 0
}

inline answer_to(x, t)
{
    if
    :: TX(x) == t && current[x] && waiting[x] -> answer[x] = a
    :: else
    fi
}

/* One EndTxn arrives at the coordinator of transactional id t. It may be late, and it may be the second of its kind. */
inline serve_end_txn(t)
{
    end_txn[t]--;
    if
    :: tx_state[t] == T_OPEN -> decide_commit(t); a = A_OK
    :: else -> a = (tx_committed[t] -> A_OK : A_FAILED) /* ended before: the same again is no error */
    fi;
    answer_to(0, t);
    answer_to(1, t);
    a = 0
}

inline mark_offset(t)
{
    if
    :: tx_state[t] == T_COMMIT && tx_offset[t] > 0 -> position = tx_offset[t] - 1
    :: else
    fi;
    tx_offset[t] = 0
}

inline finish(t)
{
    tx_state[t] = T_EMPTY; tx_data_marked[t] = 0
}

/* Nobody will end it: its producer is gone, or sleeps. */
#define DESERTED(t) (!(inside[0] && TX(0) == t) && !(inside[1] && TX(1) == t))

inline time_out(t)
{
    if
    :: DESERTED(t)
    :: else -> timeouts--
    fi;
    bump_epoch(t);
    decide_abort(t)
}

#define PREPARED(t) (tx_state[t] == T_COMMIT || tx_state[t] == T_ABORT)

proctype Kafka()
{
    byte n, m, a;

end_idle:
    do
    :: d_step { end_txn[0] > 0 -> printf("kafka: EndTxn arrives for id 0\n"); serve_end_txn(0) }
    :: d_step { PREPARED(0) && !tx_data_marked[0] -> printf("kafka: rows of id 0 get their marker\n"); mark_data(0) }
    :: d_step { PREPARED(0) && tx_offset[0] > 0 -> printf("kafka: position of id 0 gets its marker\n"); mark_offset(0) }
    :: d_step { PREPARED(0) && tx_data_marked[0] && tx_offset[0] == 0 -> finish(0) }
    :: d_step { tx_state[0] == T_OPEN && (timeouts > 0 || DESERTED(0)) -> printf("kafka: transaction of id 0 timed out\n"); time_out(0) }
#ifndef SAME_ID
    :: d_step { end_txn[1] > 0 -> printf("kafka: EndTxn arrives for id 1\n"); serve_end_txn(1) }
    :: d_step { PREPARED(1) && !tx_data_marked[1] -> printf("kafka: rows of id 1 get their marker\n"); mark_data(1) }
    :: d_step { PREPARED(1) && tx_offset[1] > 0 -> printf("kafka: position of id 1 gets its marker\n"); mark_offset(1) }
    :: d_step { PREPARED(1) && tx_data_marked[1] && tx_offset[1] == 0 -> finish(1) }
    :: d_step { tx_state[1] == T_OPEN && (timeouts > 0 || DESERTED(1)) -> printf("kafka: transaction of id 1 timed out\n"); time_out(1) }
#endif
    od
}

/* ---- the worker ---- */

#define W_AWAY    0
#define W_WANTED  1  /* assigned, not claimed in PostgreSQL */
#define W_NEW     2  /* R1: a new producer is wanted; the coordinator ends what its forerunner left open */
#define W_INIT    3  /* R1: waiting for that */
#define W_READ    4  /* R2: the group's position */
#define W_COMPARE 5  /* R3 */
#define W_FIRST   6  /* the group has no position, PostgreSQL says that all is published: set it before any row exists */
#define W_RUN     7  /* batches, and R4 */
#define W_SEND    8  /* R5: rows into the open transaction */
#define W_OFFSETS 9  /* R5: the position into it */
#define W_END     10 /* R5: about to send EndTxn */
#define W_WAIT    11 /* R5: EndTxn sent */
#define W_OUTSIDE 12 /* mutant POSITION_OUTSIDE: the position afterwards, by itself */
#define W_HALTED  13

#define T    TX(w)
#ifdef EARLY_BATCH
#define MAY_COMMIT (st >= W_NEW && st <= W_OUTSIDE && top < ROWS && holds[w])
#else
#define MAY_COMMIT (st >= W_RUN && st <= W_OUTSIDE && top < ROWS && holds[w]) /* the first batch after a claim waits for R3 */
#endif

inline leave_tx()
{
    inside[w] = 0; waiting[w] = 0; answer[w] = A_NONE; to = 0; sent = 0; again = 0
}

inline forget()
{
    leave_tx();
    st = W_AWAY; pos = 0; current[w] = 0; holds[w] = 0; mine[w] = 0
#ifdef OFFSET_EXPIRES
    ; up[w] = 0
#endif
}

/* A producer that is not to be used any more: a new one, if the partition still seems to be ours. */
inline replace_producer()
{
    leave_tx();
    current[w] = 0;
    pos = 0;
    if
    :: mine[w] || strays > 0 -> st = W_NEW
    :: else -> forget()
    fi
}

inline halt_partition()
{
    printf("worker %d: halts\n", w);
    INV(L3_HaltCause, restored || expired);
    leave_tx();
    halted[w] = 1; st = W_HALTED
}

/* R6 as part of a batch: rows that are known to be published go. */
inline collect()
{
#ifdef DELETE_BEFORE_PUBLISH
    collected = top;
#else
    collected = (pos < top -> pos : top);
#if defined(DB_RESTORE) || defined(OFFSET_EXPIRES)
    known = pos;
#endif
#endif
    INV(I10_Collected, collected <= decided)
}

inline send_end_txn() /* with a fenced epoch it will come back as an error */
{
    if
    :: current[w] -> end_txn[T]++
    :: else -> answer[w] = A_FAILED
    fi
}

proctype Worker(byte w)
{
    byte st, pos, to, sent;
    bit  again; /* the library sent EndTxn a second time */

end_idle:
    do
    :: d_step { st == W_AWAY && owner == w -> printf("worker %d: assigned\n", w);
        mine[w] = 1; st = W_WANTED
#ifdef OFFSET_EXPIRES
        ; up[w] = 1
#endif
       }
    :: d_step { (st == W_WANTED || st == W_NEW || st == W_RUN) && !mine[w] -> printf("worker %d: sees that the partition is gone\n", w); forget() }
    :: d_step { st == W_WANTED && (mine[w] || strays > 0) -> printf("worker %d: claims in PostgreSQL\n", w);
        if
        :: mine[w]
        :: else -> strays--
        fi;
        holds[0] = 0; holds[1] = 0; holds[w] = 1;
        if
        :: current[w] -> st = W_INIT /* R1 went before */
        :: else -> st = W_NEW
        fi
       }
#ifdef PRODUCER_FIRST
    /* R1 before the claim: the other one's batches still commit, and it may still publish. */
    :: d_step { st == W_WANTED && !current[w] && (mine[w] || strays > 0) && !PREPARED(T) ->
        if
        :: mine[w]
        :: else -> strays--
        fi;
        bump_epoch(T); current[w] = 1; printf("worker %d: R1 new producer, nothing claimed\n", w);
        if
        :: tx_state[T] == T_OPEN -> decide_abort(T)
        :: else
        fi
       }
#endif

    /* R1: InitProducerId. It bumps the epoch, aborts what is open, waits for what is decided. */
    :: d_step { st == W_NEW && (mine[w] || strays > 0) && !PREPARED(T) ->
        if
        :: mine[w]
        :: else -> strays--
        fi;
        bump_epoch(T); current[w] = 1; printf("worker %d: R1 new producer\n", w);
        if
        :: tx_state[T] == T_OPEN -> decide_abort(T)
        :: else
        fi;
        st = W_INIT
       }
    :: d_step { st == W_INIT && tx_state[T] == T_EMPTY && current[w] -> printf("worker %d: R1 initialised\n", w); st = W_READ }
    :: d_step { st == W_INIT && !current[w] -> replace_producer() } /* another took over the id meanwhile */

    /* R2: only a stable position counts: while a transaction with an offset is undecided or unmarked, the broker says "again". */
#ifdef POSITION_UNSTABLE
    :: d_step { st == W_READ ->
#else
    :: d_step { st == W_READ && tx_offset[0] == 0 && tx_offset[1] == 0 ->
#endif
        INV(I8_Position, position == NOWHERE || position == decided);
        pos = position; printf("worker %d: R2 reads the position\n", w); st = W_COMPARE
       }

    /* R3: with the row of pawl.offsets under our own epoch, or we compare a position of yesterday with rows of today and halt for nothing. */
    :: d_step { st == W_COMPARE -> printf("worker %d: R3 compares\n", w);
        if
#ifndef NO_EPOCH_AT_HALT
        :: !holds[w] -> st = W_WANTED; current[w] = 0; pos = 0
#endif
        :: else ->
          if
          :: pos == NOWHERE && top > known -> halt_partition() /* rows that may be published or not */
#ifdef NO_FIRST_POSITION
          :: pos == NOWHERE && top <= known -> pos = known; st = W_RUN
#else
          :: pos == NOWHERE && top <= known -> pos = known; st = W_FIRST
#endif
#ifndef NO_COMPARE
          :: pos != NOWHERE && pos > top && !skipped -> halt_partition() /* PostgreSQL is older than what was published */
#endif
          :: pos != NOWHERE && pos < collected -> halt_partition()       /* rows are gone that were not published */
          :: else -> st = W_RUN
          fi
        fi
       }
    :: d_step { st == W_FIRST -> printf("worker %d: sets the first position\n", w);
        if
        :: mine[w] -> position = pos; st = W_RUN
        :: else -> forget() /* refused by the group */
        fi
       }

    /* The batch loop goes on while the publisher works. */
    :: d_step { MAY_COMMIT -> printf("worker %d: batch commits a row\n", w);
        INV(I9_NotAhead, skipped || decided <= top); /* no row gets a number that was published before */
        top++;
#ifdef DELETE_BEFORE_PUBLISH
        collect()
#endif
       }
#ifndef DELETE_BEFORE_PUBLISH
    :: d_step { MAY_COMMIT && pos > collected -> printf("worker %d: batch commits a row, deletes published ones\n", w);
        INV(I9_NotAhead, skipped || decided <= top);
        top++;
        collect()
       }
#endif
    :: d_step { st == W_RUN && !holds[w] && (mine[w] || strays > 0) -> printf("worker %d: fenced in PostgreSQL\n", w); st = W_WANTED; current[w] = 0; pos = 0 } /* fenced */

    /* R4: rows above the position, in order. */
    :: d_step { st == W_RUN && pos < top && tx_state[T] == T_EMPTY && current[w] -> printf("worker %d: R4 selects rows\n", w);
        if
        :: pos < collected -> st = W_NEW; current[w] = 0; pos = 0 /* not where we think: somebody else went on; read the position again */
        :: else ->
            INV(I13_Tainted, end_txn[T] == 0);
            sent = pos; to = (top > pos + BATCH -> pos + BATCH : top); inside[w] = 1; st = W_SEND
        fi
       }
    :: d_step { st == W_RUN && pos < top && !current[w] -> replace_producer() }

    /* R5 */
    :: d_step { st == W_SEND && current[w] && !PREPARED(T) ->
        tx_state[T] = T_OPEN;
        sent++; printf("worker %d: R5 sends a row\n", w); assert(log_n < LOG);
        log_row[log_n] = sent; log_tx[log_n] = T; log_n++;
        if
#ifdef POSITION_OUTSIDE
        :: sent == to -> st = W_END
#else
        :: sent == to -> st = W_OFFSETS
#endif
        :: else
        fi
       }
    :: d_step { st == W_OFFSETS && current[w] && !PREPARED(T) -> printf("worker %d: R5 sends the position\n", w);
        if
#ifdef NO_GENERATION
        :: true -> tx_state[T] = T_OPEN; tx_offset[T] = to + 1; st = W_END
#else
        :: mine[w] -> tx_state[T] = T_OPEN; tx_offset[T] = to + 1; st = W_END
        :: else -> forget() /* the group has another member there: abort, by throwing the producer away */
#endif
        fi
       }
    :: d_step { (st == W_SEND || st == W_OFFSETS) && !current[w] -> replace_producer() }
    :: d_step { st == W_END -> printf("worker %d: R5 sends EndTxn\n", w); send_end_txn(); waiting[w] = 1; st = W_WAIT }
    :: d_step { st == W_WAIT && answer[w] == A_OK -> printf("worker %d: EndTxn answered\n", w);
#ifdef POSITION_OUTSIDE
        pos = to; st = W_OUTSIDE
#else
        pos = to;
        if
#ifndef NO_TAINT
        :: again -> replace_producer() /* one of the two was answered: the other may still come */
#endif
        :: else -> leave_tx(); st = W_RUN
        fi
#endif
       }
    :: d_step { st == W_WAIT && answer[w] == A_FAILED -> printf("worker %d: EndTxn refused\n", w); replace_producer() }
#ifdef POSITION_OUTSIDE
    :: d_step { st == W_OUTSIDE ->
        if
        :: mine[w] -> position = pos;
            if
            :: again -> replace_producer()
            :: else -> leave_tx(); st = W_RUN
            fi
        :: else -> forget()
        fi
       }
#endif

    /* Faults. A request before EndTxn that is lost, done or not, costs the producer. */
    :: d_step { (st == W_SEND || st == W_OFFSETS || st == W_END || st == W_INIT) && faults > 0 -> printf("worker %d: a request is lost, the producer is thrown away\n", w); faults--; replace_producer() }
    :: d_step { st == W_END && faults > 0 -> printf("worker %d: EndTxn is lost\n", w); faults--; waiting[w] = 1; st = W_WAIT } /* EndTxn is lost */
    :: d_step { st == W_WAIT && answer[w] == A_NONE && faults > 0 && !again -> printf("worker %d: the library sends EndTxn again\n", w); faults--; send_end_txn(); again = 1 } /* sent again */
    :: d_step { st == W_WAIT && answer[w] == A_NONE && (faults > 0 || end_txn[T] == 0) -> printf("worker %d: no answer to EndTxn in time\n", w); /* no answer in time */
        if
        :: end_txn[T] == 0
        :: else -> faults--
        fi;
#ifdef NO_TAINT
        /* "it failed": abort, and begin again with the same producer */
        if
        :: current[w] && tx_state[T] == T_OPEN -> decide_abort(T); leave_tx(); st = W_READ
        :: else -> leave_tx(); st = W_READ
        fi
#else
        replace_producer()
#endif
       }
    :: d_step { st != W_AWAY && st != W_HALTED && faults > 0 -> printf("worker %d: killed\n", w); /* kill -9; its successor has the same static id */
        faults--; forget()
       }
#ifdef DB_RESTORE
    :: d_step { st == W_HALTED && restored -> skipped = 1; halted[w] = 0; st = W_WANTED } /* --skip-published; and claim again */
#endif
    od
}

proctype World()
{
end_idle:
    do
    :: d_step { moves > 0 -> printf("group: the partition moves\n"); moves--; owner = 1 - owner; mine[0] = 0; mine[1] = 0 }
#ifdef DB_RESTORE
    :: d_step { !backed_up -> printf("postgres: backup\n"); backed_up = 1; old_top = top; old_collected = collected; old_known = known }
    :: d_step { backed_up && !restored ->
        printf("postgres: restored\n"); restored = 1; top = old_top; collected = old_collected; known = old_known;
        holds[0] = 0; holds[1] = 0 /* by next_offset, or by the incarnation that the runbook bumps */
       }
#endif
#ifdef OFFSET_EXPIRES
    :: d_step { !expired && position != NOWHERE && tx_offset[0] == 0 && tx_offset[1] == 0 && !up[0] && !up[1] -> printf("kafka: the group offset expires\n"); expired = 1; position = NOWHERE }
#endif
    od
}

/* The state graph has no cycle (checked on its own, with -DNP): so every run comes to an end, and in each end all must be done. */
proctype End()
{
    timeout;
    INV(L2_AllPublished, halted[0] || halted[1] || (top == ROWS && seen == ROWS))
}

init
{
    atomic { run Kafka(); run Worker(0); run Worker(1); run World(); run End() }
}
