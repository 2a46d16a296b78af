/* Kafka to PostgreSQL: claim, fence, batch, in-doubt COMMIT. Follows runtime/worker/{assign,claim,process,tx}.c.
 *
 * One partition, two workers, each with one connection. Every step of a worker can be delayed for as long as the verifier likes, which is
 * a process that is stopped and resumed there: a worker whose partition was given away believes in it until it gets to look.
 * docs/model.md says what is left out and why that is sound. */
#include "invariants.h"

#ifndef RECORDS
#define RECORDS 3 /* offsets of the log, the holes included */
#endif
#ifndef VISIBLE
#define VISIBLE 5 /* bit o: offset o is a record; a clear bit is a hole (compaction, a control record) */
#endif
#ifndef FAULTS
#define FAULTS 2 /* kills, cut connections, sends that fail, transactions that fail: together */
#endif
#ifndef MOVES
#define MOVES 1 /* how often the group gives the partition to the other worker */
#endif
#ifndef STRAYS
#define STRAYS 1 /* claims by a worker that does not own the partition any more */
#endif
#define BATCH 2

bit I1_Prefix, I2_Monotone, I3_Atomic, I4_Fence = WITHOUT_I4, I5_LockFreed, I6_OutboxDense = WITHOUT_I6, I11_NoSilentSkip, I12_Mirror, L1_Applied = WITHOUT_L1;

/* ---- PostgreSQL: the row of pawl.offsets, what the transactions wrote, and the sessions ---- */

byte next;     /* next_offset */
byte epoch;    /* owner_epoch */
byte lock;     /* who holds the row: session + 1 */
byte effects;  /* set of offsets whose effects are in the tables (or whose dead letter is) */
byte rows;     /* rows ever committed to pawl.outbox */
byte started;  /* set of offsets from which a commit started */
bit  reset;    /* an operator moved next_offset */
#ifdef SERIAL_OUTBOX_ID
byte serial;   /* a sequence: what it gave out stays given out when a transaction rolls back */
#define NUMBER serial
#else
byte seq;      /* outbox_seq, in the row */
#define NUMBER seq
#endif

/* What a session does. Session 2w belongs to worker w's connection; 2w+1 is what the server still has of one that broke. */
#define S_NONE   0
#define S_CLAIM  1 /* UPDATE owner_epoch + 1 on its way */
#define S_FENCE  2 /* trip 1 on its way: BEGIN, compare-and-set */
#define S_OPEN   3 /* transaction open, row held */
#define S_COMMIT 4 /* trip 2 on its way: writes, outbox, COMMIT */
#define S_LOOK   5 /* SELECT ... FOR UPDATE after a COMMIT in doubt */
#define LIVE(w)   (2 * (w))
#define ORPHAN(w) (2 * (w) + 1)
byte doing[4];
byte s_lo[4], s_hi[4], s_epoch[4], s_records[4];
bit  s_first[4]; /* first batch after an assignment */

/* What the server answered to worker w; the values of the row with it. */
#define A_NONE   0
#define A_OK     1
#define A_NO_ROW 2 /* the compare-and-set matched nothing */
#define A_FAILED 3 /* COMMIT of a failed transaction: answered OK, with the tag ROLLBACK */
byte answer[2], a_next[2], a_epoch[2];

/* ---- Kafka ---- */

byte end = RECORDS - 1; /* of the log: one record comes later */
bit  owner;             /* whom the group gave the partition */
bit  mine[2];           /* worker w is the member whom the broker knows as owner, by generation, member id and instance id */
byte mirrored;          /* the group's committed offset */

/* ---- budgets ---- */

byte faults = FAULTS, moves = MOVES, strays = STRAYS;
bit  frozen[2]; /* stopped for ever */

#ifdef NO_CAS
#define AT_LO(s) true
#else
#define AT_LO(s) (next == s_lo[s])
#endif
#ifdef NO_EPOCH
#define EPOCH_MINE(s) true
#else
#define EPOCH_MINE(s) (epoch == s_epoch[s])
#endif

/* Can this session go on without waiting for the row? What a broken connection left behind can always be dropped. */
#define CAN(s)                                                                                                                        \
    ((doing[s] != S_NONE && (s & 1)) || ((doing[s] == S_CLAIM || doing[s] == S_LOOK) && lock == 0) ||                                 \
     (doing[s] == S_FENCE && (lock == 0 || !(AT_LO(s) && EPOCH_MINE(s)))) || doing[s] == S_COMMIT)

inline give(s, a) /* only a live connection hears it */
{
    if
    :: (s & 1) == 0 -> answer[s / 2] = a; a_next[s / 2] = next; a_epoch[s / 2] = epoch
    :: else
    fi
}

inline end_session(s)
{
    if
    :: lock == s + 1 -> lock = 0
    :: else
    fi;
    doing[s] = S_NONE; s_lo[s] = 0; s_hi[s] = 0; s_epoch[s] = 0; s_records[s] = 0; s_first[s] = 0
}


inline number_outputs() /* one per record, in the order of the source */
{
    n_s = s_records[s];
    do
    :: n_s != 0 -> n_s = n_s & (n_s - 1); NUMBER++
    :: else -> break
    od
}

/* The heart: what may become durable. */
inline commit()
{
    INV(I1_Prefix, (effects & s_records[s]) == 0);  /* each once */
    INV(I4_Fence, s_epoch[s] == epoch);             /* no commit with another epoch than the last claim's */
    INV(I4_Fence, (started & (1 << s_lo[s])) == 0); /* one commit from each value of next */
    INV(I2_Monotone, s_hi[s] > next);
    INV(I11_NoSilentSkip, !s_first[s] || next != s_lo[s] || LOWEST(s_records[s]) == LOWEST(VISIBLE & ~BELOW(next)));
    started = started | (1 << s_lo[s]);
    next = s_hi[s];
    number_outputs();
    n_s = s_records[s];
    do
    :: n_s != 0 -> n_s = n_s & (n_s - 1); rows++
    :: else -> break
    od;
    INV(I6_OutboxDense, NUMBER == rows);
#ifndef OFFSET_APART                                /* the mutant brings the effects in a transaction of their own, later */
    effects = effects | s_records[s];
#endif
    INV(I3_Atomic, (effects & s_records[s]) == s_records[s]);
    INV(I1_Prefix, effects == (VISIBLE & BELOW(next))) /* all below, nothing above */
}

/* The server. Which session goes next, and whether the last words of a broken connection still arrive, is the verifier's choice. */
proctype Postgres()
{
    byte s, n_s;

end_idle:
    do
    :: atomic {
        if
        :: CAN(0) -> s = 0
        :: CAN(1) -> s = 1
        :: CAN(2) -> s = 2
        :: CAN(3) -> s = 3
        fi;
        if
        :: (s & 1) -> d_step { end_session(s); s = 0 } /* never arrived, or the server saw the end of the connection: rolled back */
        :: doing[s] == S_CLAIM && lock == 0 -> d_step { epoch++; printf("postgres: epoch bumped by a claim\n"); give(s, A_OK); end_session(s); s = 0 }
        :: doing[s] == S_LOOK && lock == 0 -> d_step { give(s, A_OK); end_session(s); s = 0 }
        :: doing[s] == S_FENCE && lock == 0 && AT_LO(s) && EPOCH_MINE(s) -> d_step { lock = s + 1; doing[s] = S_OPEN; give(s, A_OK); s = 0 }
        :: doing[s] == S_FENCE && !(AT_LO(s) && EPOCH_MINE(s)) -> d_step { give(s, A_NO_ROW); end_session(s); s = 0 }
        :: doing[s] == S_COMMIT -> d_step { printf("postgres: COMMIT\n"); commit(); give(s, A_OK); end_session(s); s = 0; n_s = 0 }
        :: doing[s] == S_COMMIT && !(s & 1) && faults > 0 -> /* the writes are done, then something fails */
            d_step {
                faults--; printf("postgres: the transaction fails, COMMIT is answered by ROLLBACK\n");
#ifdef SERIAL_OUTBOX_ID
                number_outputs();
#endif
                give(s, A_FAILED); end_session(s); s = 0; n_s = 0
            }
        fi
       }
#ifndef NO_IDLE_TIMEOUT
    :: atomic { frozen[0] && doing[LIVE(0)] == S_OPEN -> end_session(LIVE(0)) } /* idle_in_transaction_session_timeout */
    :: atomic { frozen[1] && doing[LIVE(1)] == S_OPEN -> end_session(LIVE(1)) }
#endif
    od
}

/* ---- the worker ---- */

#define W_AWAY   0 /* no partition */
#define W_WANTED 1 /* assigned, not claimed */
#define W_CLAIM  2
#define W_RUN    3 /* claimed: between batches */
#define W_FENCE  4 /* trip 1 sent */
#define W_OPEN   5 /* fence answered, handlers run */
#define W_COMMIT 6 /* trip 2 sent */
#define W_DOUBT  7 /* connection lost after COMMIT was sent */
#define W_LOOK   8
#define W_MIRROR 9 /* committed, group offset not told yet */

inline clear_answer()
{
    answer[w] = A_NONE; a_next[w] = 0; a_epoch[w] = 0
}

/* The connection breaks. What was sent may still be executed, later: the session becomes an orphan. */
inline cut()
{
    if
    :: doing[LIVE(w)] != S_NONE ->
        doing[ORPHAN(w)] = doing[LIVE(w)]; s_lo[ORPHAN(w)] = s_lo[LIVE(w)]; s_hi[ORPHAN(w)] = s_hi[LIVE(w)];
        s_epoch[ORPHAN(w)] = s_epoch[LIVE(w)]; s_records[ORPHAN(w)] = s_records[LIVE(w)]; s_first[ORPHAN(w)] = s_first[LIVE(w)];
        if
        :: lock == LIVE(w) + 1 -> lock = ORPHAN(w) + 1
        :: else
        fi;
        end_session(LIVE(w))
    :: else
    fi;
    clear_answer()
}

inline forget()
{
    st = W_AWAY; at = 0; my_epoch = 0; hi = 0; records = 0; first = 0; mine[w] = 0
#ifdef GUESS_OFFSET
    ; from = 0
#endif
}

inline advance() /* memory follows the database */
{
    at = hi; first = 0; st = W_MIRROR
#ifdef GUESS_OFFSET
    ; from = hi
#endif
}

#ifdef GUESS_OFFSET
#define START (from > at -> from : at) /* records below what is expected are dropped, a jump over others is taken for a hole */
#else
#define START at
#endif

/* Takes up to n records from where we stand. */
inline take(n)
{
    i = START; k = 0; records = 0; hi = at;
    do
    :: i < end && k < n ->
        if
        :: VISIBLE & (1 << i) -> records = records | (1 << i); hi = i + 1; k++
        :: else
        fi;
        i++
    :: else -> break
    od;
    i = 0; k = 0
}

#define MORE (VISIBLE & BELOW(end) & ~BELOW(START))

inline send_batch()
{
    s_lo[LIVE(w)] = at; s_hi[LIVE(w)] = hi; s_epoch[LIVE(w)] = my_epoch; s_records[LIVE(w)] = records; s_first[LIVE(w)] = first;
    doing[LIVE(w)] = S_FENCE; st = W_FENCE
}

proctype Worker(byte w)
{
    byte st, at, my_epoch, hi, records, i, k;
    bit  first;
#ifdef GUESS_OFFSET
    byte from;
#endif

end_idle:
    do
    /* The group. */
    :: d_step { st == W_AWAY && owner == w -> printf("worker %d: assigned\n", w);
        mine[w] = 1; st = W_WANTED
#ifdef GUESS_OFFSET
        ; from = end /* PostgreSQL has not told yet: begin at the end, as auto.offset.reset=latest does */
#endif
       }
    :: d_step { (st == W_WANTED || st == W_RUN) && !mine[w] -> printf("worker %d: sees that the partition is gone\n", w); forget() }

    /* The claim. */
    :: d_step { st == W_WANTED && (mine[w] || strays > 0) ->
        if
        :: mine[w]
        :: else -> strays--
        fi;
        doing[LIVE(w)] = S_CLAIM; printf("worker %d: sends a claim\n", w); st = W_CLAIM
       }
    :: d_step { st == W_CLAIM && answer[w] == A_OK -> printf("worker %d: has claimed\n", w); at = a_next[w]; my_epoch = a_epoch[w]; first = 1; clear_answer(); st = W_RUN }

    /* A batch of one or two. */
    :: d_step { st == W_RUN && MORE -> take(1); printf("worker %d: batch of one, fence sent\n", w); send_batch() }
    :: d_step { st == W_RUN && MORE -> take(BATCH); printf("worker %d: batch of two, fence sent\n", w); send_batch() }
    :: d_step { st == W_FENCE && answer[w] == A_OK -> printf("worker %d: fence matched\n", w); clear_answer(); st = W_OPEN }
    :: d_step { st == W_FENCE && answer[w] == A_NO_ROW -> printf("worker %d: fenced\n", w); clear_answer(); hi = 0; records = 0; st = W_WANTED } /* fenced: claim again */
    :: d_step { st == W_OPEN -> printf("worker %d: sends writes and COMMIT\n", w); doing[LIVE(w)] = S_COMMIT; st = W_COMMIT }
    :: d_step { st == W_OPEN && !mine[w] -> printf("worker %d: rolls back, the partition is gone\n", w); end_session(LIVE(w)); forget() } /* lost, and seen in time */
    :: d_step { st == W_COMMIT && answer[w] == A_OK -> printf("worker %d: COMMIT answered\n", w); clear_answer(); advance() }
    :: d_step { st == W_COMMIT && answer[w] == A_FAILED -> printf("worker %d: COMMIT answered by ROLLBACK\n", w); clear_answer();
#ifdef NO_TAG
        advance()
#else
        hi = 0; records = 0; st = W_RUN
#endif
       }
    :: d_step { st == W_MIRROR -> /* a plain commit; the broker takes it from the current generation only */
        if
        :: mine[w] -> mirrored = at; printf("worker %d: group offset mirrored\n", w); INV(I12_Mirror, mirrored <= next || reset)
        :: else
        fi;
        hi = 0; records = 0; st = W_RUN
       }

    /* COMMIT in doubt: a new connection locks the row and reads it. */
    :: d_step { st == W_DOUBT -> printf("worker %d: connected again, asks for the offset row\n", w); doing[LIVE(w)] = S_LOOK; st = W_LOOK }
    :: d_step { st == W_LOOK && answer[w] == A_OK -> printf("worker %d: reads the offset row\n", w);
        if
        :: a_epoch[w] == my_epoch && a_next[w] == hi -> advance()                                  /* it committed */
        :: a_epoch[w] == my_epoch && a_next[w] == at -> hi = 0; records = 0; st = W_RUN            /* not so far: again */
        :: else -> hi = 0; records = 0; st = W_WANTED                                              /* fenced */
        fi;
        clear_answer()
       }

    /* Faults. */
    :: d_step { st > W_WANTED && faults > 0 && doing[ORPHAN(w)] == S_NONE -> /* the connection breaks */
        faults--; cut(); printf("worker %d: connection lost\n", w);
        if
        :: st == W_CLAIM -> st = W_WANTED
        :: st == W_FENCE || st == W_OPEN -> hi = 0; records = 0; st = W_RUN
        :: st == W_COMMIT ->
#ifdef NO_IN_DOUBT_RULE
            advance() /* "it was sent, so it is there" */
#else
            st = W_DOUBT
#endif
        :: st == W_LOOK -> st = W_DOUBT
        :: else
        fi
       }
    :: d_step { st == W_OPEN && faults > 0 && doing[ORPHAN(w)] == S_NONE -> /* sending trip 2 fails half-way, yet COMMIT gets there */
        faults--; doing[LIVE(w)] = S_COMMIT; cut(); printf("worker %d: sending COMMIT fails half-way\n", w); hi = 0; records = 0; st = W_RUN
       }
    :: d_step { st != W_AWAY && faults > 0 && doing[ORPHAN(w)] == S_NONE -> /* kill -9; its successor has the same static id */
        faults--; cut(); forget(); printf("worker %d: killed\n", w)
       }
#ifdef FREEZE
    :: atomic { !frozen[0] && !frozen[1] -> frozen[w] = 1; printf("worker %d: frozen for ever\n", w); break } /* stopped, and never resumed */
#endif
    od
}

/* The group coordinator, the producer of the log, and the operator. */
proctype World()
{
    byte r;

end_idle:
    do
    :: atomic { moves > 0 && !frozen[1 - owner] -> printf("group: the partition moves\n"); moves--; owner = 1 - owner; mine[0] = 0; mine[1] = 0 }
    :: atomic { frozen[owner] && !frozen[1 - owner] -> owner = 1 - owner; mine[0] = 0; mine[1] = 0 } /* session time-out */
    :: atomic { end < RECORDS -> printf("kafka: a record is appended\n"); end++ }
#ifdef ADMIN_RESET
    :: atomic { !reset && lock == 0 && next > 0 -> /* pawl offsets set, to process again */ printf("operator: goes back\n");
        select (r : 0 .. (next - 1));
        next = r; effects = effects & BELOW(r); started = started & BELOW(r); reset = 1; r = 0;
        mine[0] = 0; mine[1] = 0 /* `pawl resume`: the owner claims again. Until it looks, it goes on with what it believes. */
       }
#endif
    od
}

/* The state graph has no cycle (checked on its own, with -DNP): so every run comes to an end, and in each end all must be done. */
proctype End()
{
    timeout;
    INV(I5_LockFreed, lock == 0 && doing[0] == S_NONE && doing[1] == S_NONE && doing[2] == S_NONE && doing[3] == S_NONE);
    INV(L1_Applied, next == RECORDS && effects == VISIBLE)
}

init
{
    atomic { run Postgres(); run Worker(0); run Worker(1); run World(); run End() }
}
