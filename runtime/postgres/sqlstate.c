#include "postgres/sqlstate.h"

#include <stddef.h>
#include <string.h>

/* The first row whose prefix matches decides, so single codes stand before their class. */
static const struct {
    const char  *prefix;
    enum pw_disp disp;
} table[] = {
    { "40", PW_D_RETRY },      /* serialization failure, deadlock */
    { "08", PW_D_RETRY },      /* connection */
    { "53", PW_D_RETRY },      /* out of disk, memory or connections */
    { "57", PW_D_RETRY },      /* shutdown, crash of another backend, cancelled, starting up */
    { "58", PW_D_RETRY },      /* I/O error of the server */
    { "55P03", PW_D_RETRY },   /* lock_timeout */
    { "55006", PW_D_RETRY },   /* object in use */
    { "25006", PW_D_RETRY },   /* read only: failed over to a standby */
    { "25P03", PW_D_RETRY },   /* idle_in_transaction_session_timeout ended a worker that was frozen */
    { "25P04", PW_D_RETRY },   /* transaction_timeout, the same */
    { "72000", PW_D_RETRY },   /* snapshot too old */
    { "21", PW_D_ISOLATE },    /* two rows of one batch hit one row, a subquery returned several */
    { "22", PW_D_ISOLATE },    /* data: out of range, bad text, division by zero */
    { "23", PW_D_ISOLATE },    /* constraints */
    { "44", PW_D_ISOLATE },    /* WITH CHECK OPTION */
    { "09", PW_D_ISOLATE },    /* triggered action */
    { "20", PW_D_ISOLATE },    /* CASE of a function without a branch */
    { "27", PW_D_ISOLATE },    /* triggered data change */
    { "38", PW_D_ISOLATE },    /* external routine */
    { "39", PW_D_ISOLATE },    /* the same */
    { "0A000", PW_D_RETRY },   /* cached plan must not change result type: a new connection prepares anew */
    { "26000", PW_D_RETRY },   /* a prepared statement is gone, the same */
    { "P0", PW_D_ISOLATE },    /* RAISE in a trigger or function */
    { "54000", PW_D_ISOLATE }, /* a value too long for its index */
    { "54001", PW_D_ISOLATE }, /* JSON nested too deeply */
};

enum pw_disp pw_sqlstate_disp(const char *sqlstate)
{
    if (!sqlstate || !*sqlstate)
        return PW_D_RETRY;
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strncmp(sqlstate, table[i].prefix, strlen(table[i].prefix)) == 0)
            return table[i].disp;
    return PW_D_FATAL;
}
