/* closing: a month is closed and its acts are issued. PostgreSQL adds them up under a lock that nobody else can book beside, so
 * they have no gaps and are final. */
#ifndef BILLING_CLOSING_H
#define BILLING_CLOSING_H

#include "book.h"
#include "document.h"
#include "notice.h"

#include <pawl/plugin.h>

#define CLOSING_ACTS_MAX 9999 /* agents of a month: one message may write 10 000 rows, and the closing is one */

pawl_rc closing_handle(pawl_ctx *c, const pawl_msg *m, const struct book *bk, const struct notice *no,
                       struct document_closed closed);

#endif
