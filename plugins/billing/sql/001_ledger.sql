CREATE SCHEMA IF NOT EXISTS billing;

-- Tables are keyed by where the premium event stood in its topic: they grow in order, and one event is booked once because its
-- effects and its offset are committed together. Only documents have a key by policy, which is how they are looked up.
-- COLLATE "C": ids are compared as bytes, which is cheaper.

CREATE TABLE billing.account (
    code text COLLATE "C" PRIMARY KEY,
    name text NOT NULL,
    kind text NOT NULL CHECK (kind IN ('asset', 'liability', 'income', 'expense'))
);
COMMENT ON TABLE billing.account IS 'Accounts that were used, as the configuration named them when they were last used. The chart itself is in billing.cfg.';
COMMENT ON COLUMN billing.account.code IS 'As billing.line has it.';
COMMENT ON COLUMN billing.account.name IS 'For people.';
COMMENT ON COLUMN billing.account.kind IS 'asset, liability, income or expense.';

CREATE TABLE billing.period (
    month            date PRIMARY KEY CHECK (extract(day FROM month) = 1),
    closed_at        timestamptz NOT NULL,
    event_id         text COLLATE "C" NOT NULL,
    source_topic     text COLLATE "C" NOT NULL,
    source_partition integer NOT NULL,
    source_offset    bigint NOT NULL
);
COMMENT ON TABLE billing.period IS 'Closings. All months up to the last row''s are closed. Locked by everybody who books (ROW SHARE) or closes (EXCLUSIVE).';
COMMENT ON COLUMN billing.period.month IS 'First day of the last month that this closing covers.';
COMMENT ON COLUMN billing.period.closed_at IS 'When it was decided, as the event says.';
COMMENT ON COLUMN billing.period.event_id IS 'The event that closed it.';
COMMENT ON COLUMN billing.period.source_topic IS 'Where that event stood.';
COMMENT ON COLUMN billing.period.source_partition IS 'Where that event stood.';
COMMENT ON COLUMN billing.period.source_offset IS 'Where that event stood.';

CREATE TABLE billing.document (
    policy_version   bigint NOT NULL CHECK (policy_version > 0),
    amount_minor     bigint NOT NULL CHECK (amount_minor >= 0),
    commission_minor bigint NOT NULL CHECK (commission_minor >= 0),
    corrects         bigint,
    source_offset    bigint NOT NULL,
    occurred_at      timestamptz NOT NULL,
    source_partition integer NOT NULL,
    month            date NOT NULL CHECK (extract(day FROM month) = 1),
    issued_on        date NOT NULL,
    starts_on        date NOT NULL,
    ends_on          date NOT NULL,
    policy_id        text COLLATE "C" NOT NULL,
    kind             text NOT NULL CHECK (kind IN ('invoice', 'credit_note')),
    currency         text NOT NULL,
    agent_id         text COLLATE "C" NOT NULL,
    event_id         text COLLATE "C" NOT NULL,
    source_topic     text COLLATE "C" NOT NULL,
    PRIMARY KEY (policy_id, policy_version),
    CHECK ((kind = 'credit_note') = (corrects IS NOT NULL))
);
-- Rows come nearly in the order of their months, so a few bytes for each megabyte find a month again when it is closed.
CREATE INDEX document_month ON billing.document USING brin (month) WITH (autosummarize = on);
COMMENT ON TABLE billing.document IS 'One row per premium event: an invoice or a credit note. Its number for people is POLICY/VERSION. Never changed.';
COMMENT ON COLUMN billing.document.policy_id IS 'The policy.';
COMMENT ON COLUMN billing.document.policy_version IS 'Of the policy, as underwriting counts: 1, 2, 3 without a gap.';
COMMENT ON COLUMN billing.document.kind IS 'invoice: to be paid by the policyholder; credit_note: to be paid back.';
COMMENT ON COLUMN billing.document.amount_minor IS 'In minor units; 0: a document without a journal entry.';
COMMENT ON COLUMN billing.document.commission_minor IS 'Of the agent: earned by an invoice, taken back by a credit note.';
COMMENT ON COLUMN billing.document.corrects IS 'Of a credit note: the policy_version of the invoice.';
COMMENT ON COLUMN billing.document.month IS 'First day of the month that it is booked into.';
COMMENT ON COLUMN billing.document.issued_on IS 'Day of the event in the insurer''s time zone. In an earlier month than month if that was closed already.';
COMMENT ON COLUMN billing.document.starts_on IS 'First day of the cover that is paid for.';
COMMENT ON COLUMN billing.document.ends_on IS 'Last day of the cover that is paid for.';
COMMENT ON COLUMN billing.document.currency IS 'ISO 4217.';
COMMENT ON COLUMN billing.document.agent_id IS 'Empty: sold without an agent. Of a credit note: the invoice''s.';
COMMENT ON COLUMN billing.document.event_id IS 'The premium event.';
COMMENT ON COLUMN billing.document.occurred_at IS 'When the policy event happened.';
COMMENT ON COLUMN billing.document.source_topic IS 'Where the premium event stood.';
COMMENT ON COLUMN billing.document.source_partition IS 'Where the premium event stood.';
COMMENT ON COLUMN billing.document.source_offset IS 'Where the premium event stood.';

CREATE TABLE billing.instalment (
    source_offset    bigint NOT NULL,
    amount_minor     bigint NOT NULL CHECK (amount_minor > 0),
    source_partition integer NOT NULL,
    number           integer NOT NULL,
    due_on           date NOT NULL,
    source_topic     text COLLATE "C" NOT NULL,
    PRIMARY KEY (source_topic, source_partition, source_offset, number)
);
COMMENT ON TABLE billing.instalment IS 'When an invoice is to be paid; the amounts add up to the invoice. By policy: view billing.due. Never changed.';
COMMENT ON COLUMN billing.instalment.source_topic IS 'Where the invoice''s premium event stood.';
COMMENT ON COLUMN billing.instalment.source_partition IS 'Where the invoice''s premium event stood.';
COMMENT ON COLUMN billing.instalment.source_offset IS 'Where the invoice''s premium event stood.';
COMMENT ON COLUMN billing.instalment.number IS '1, 2, ... of the invoice.';
COMMENT ON COLUMN billing.instalment.due_on IS 'Last day to pay.';
COMMENT ON COLUMN billing.instalment.amount_minor IS 'In minor units of the invoice''s currency.';

CREATE TABLE billing.entry (
    source_offset    bigint NOT NULL,
    policy_version   bigint NOT NULL,
    source_partition integer NOT NULL,
    month            date NOT NULL CHECK (extract(day FROM month) = 1),
    source_topic     text COLLATE "C" NOT NULL,
    policy_id        text COLLATE "C" NOT NULL,
    currency         text NOT NULL,
    PRIMARY KEY (source_topic, source_partition, source_offset)
);
COMMENT ON TABLE billing.entry IS 'Journal entries: the booking of one document. Never changed.';
COMMENT ON COLUMN billing.entry.source_topic IS 'Where the premium event stood.';
COMMENT ON COLUMN billing.entry.source_partition IS 'Where the premium event stood.';
COMMENT ON COLUMN billing.entry.source_offset IS 'Where the premium event stood.';
COMMENT ON COLUMN billing.entry.month IS 'First day of the month that it is booked into.';
COMMENT ON COLUMN billing.entry.policy_id IS 'The document.';
COMMENT ON COLUMN billing.entry.policy_version IS 'The document.';
COMMENT ON COLUMN billing.entry.currency IS 'ISO 4217; an entry has one.';

CREATE TABLE billing.line (
    source_offset    bigint NOT NULL,
    debit_minor      bigint NOT NULL,
    credit_minor     bigint NOT NULL,
    source_partition integer NOT NULL,
    number           integer NOT NULL,
    month            date NOT NULL,
    source_topic     text COLLATE "C" NOT NULL,
    account          text COLLATE "C" NOT NULL,
    currency         text NOT NULL,
    PRIMARY KEY (source_topic, source_partition, source_offset, number),
    CHECK (debit_minor >= 0 AND credit_minor >= 0 AND (debit_minor = 0) <> (credit_minor = 0))
);
COMMENT ON TABLE billing.line IS 'Lines of journal entries. Every statement that adds lines adds as much debit as credit to each entry. Never changed.';
COMMENT ON COLUMN billing.line.source_topic IS 'The entry.';
COMMENT ON COLUMN billing.line.source_partition IS 'The entry.';
COMMENT ON COLUMN billing.line.source_offset IS 'The entry.';
COMMENT ON COLUMN billing.line.number IS '1, 2, ... of the entry.';
COMMENT ON COLUMN billing.line.account IS 'Code of the account.';
COMMENT ON COLUMN billing.line.debit_minor IS 'In minor units; 0 if the line is a credit.';
COMMENT ON COLUMN billing.line.credit_minor IS 'In minor units; 0 if the line is a debit.';
COMMENT ON COLUMN billing.line.month IS 'The entry''s month, so that balances need no join.';
COMMENT ON COLUMN billing.line.currency IS 'The entry''s currency.';

CREATE TABLE billing.act (
    number           bigint NOT NULL CHECK (number > 0),
    documents        bigint NOT NULL CHECK (documents > 0),
    charged_minor    bigint NOT NULL,
    refunded_minor   bigint NOT NULL,
    commission_minor bigint NOT NULL,
    issued_at        timestamptz NOT NULL,
    month            date NOT NULL CHECK (extract(day FROM month) = 1),
    agent_id         text COLLATE "C" NOT NULL,
    currency         text NOT NULL,
    event_id         text COLLATE "C" NOT NULL,
    PRIMARY KEY (agent_id, month, currency),
    UNIQUE (agent_id, number)
);
COMMENT ON TABLE billing.act IS 'Acts: what an agent sold in a closed month. Its lines: view billing.act_line. Never changed.';
COMMENT ON COLUMN billing.act.agent_id IS 'Empty: sold without an agent.';
COMMENT ON COLUMN billing.act.month IS 'First day of the month.';
COMMENT ON COLUMN billing.act.currency IS 'ISO 4217.';
COMMENT ON COLUMN billing.act.number IS 'Of the agent: 1, 2, 3 in the order of the months, without a gap.';
COMMENT ON COLUMN billing.act.documents IS 'How many lines it has.';
COMMENT ON COLUMN billing.act.charged_minor IS 'Sum of the invoices.';
COMMENT ON COLUMN billing.act.refunded_minor IS 'Sum of the credit notes.';
COMMENT ON COLUMN billing.act.commission_minor IS 'Earned by the invoices, less what the credit notes take back.';
COMMENT ON COLUMN billing.act.issued_at IS 'When the month was closed, as the event says.';
COMMENT ON COLUMN billing.act.event_id IS 'Of the event that was published for it.';

-- ---- closing: who books holds a shared lock on the closings until the commit, who closes an exclusive one ----

-- The functions below are VOLATILE: each of their queries has a snapshot of its own, taken after the lock was granted, so that
-- what the last holder committed is seen.
CREATE FUNCTION billing.closed_through() RETURNS date LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    LOCK TABLE billing.period IN ROW SHARE MODE;
    RETURN (SELECT max(p.month) FROM billing.period p);
END $$;
COMMENT ON FUNCTION billing.closed_through() IS 'First day of the last closed month, NULL if none is. None is closed from now until the caller''s transaction ends.';

CREATE FUNCTION billing.acts_due(through date)
RETURNS TABLE (agent_id text, month date, currency text, number bigint, documents bigint, charged_minor bigint, refunded_minor bigint,
               commission_minor bigint)
LANGUAGE plpgsql VOLATILE AS $$
#variable_conflict use_column
BEGIN
    LOCK TABLE billing.period IN EXCLUSIVE MODE;
    RETURN QUERY
    SELECT s.agent_id, s.month, s.currency,
           coalesce((SELECT max(a.number) FROM billing.act a WHERE a.agent_id = s.agent_id), 0) +
               row_number() OVER (PARTITION BY s.agent_id ORDER BY s.month, s.currency),
           s.documents, s.charged_minor, s.refunded_minor, s.commission_minor
      FROM (SELECT d.agent_id, d.month, d.currency, count(*) AS documents,
                   (coalesce(sum(d.amount_minor) FILTER (WHERE d.kind = 'invoice'), 0))::bigint AS charged_minor,
                   (coalesce(sum(d.amount_minor) FILTER (WHERE d.kind = 'credit_note'), 0))::bigint AS refunded_minor,
                   (sum(CASE d.kind WHEN 'invoice' THEN d.commission_minor ELSE -d.commission_minor END))::bigint AS commission_minor
              FROM billing.document d
             WHERE d.month <= through AND d.month > coalesce((SELECT max(p.month) FROM billing.period p), date '0001-01-01')
             GROUP BY d.agent_id, d.month, d.currency) s
     ORDER BY s.agent_id, s.month, s.currency;
END $$;
COMMENT ON FUNCTION billing.acts_due(date) IS 'The acts that closing through this month issues. Nobody books from now until the caller''s transaction ends.';

-- ---- what the tables promise ----

CREATE FUNCTION billing.is_open() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    closed date := billing.closed_through();
    early  date := (SELECT min(a.month) FROM added a);
BEGIN
    IF early <= closed THEN
        RAISE EXCEPTION 'billing.%: % is booked, but all months through % are closed', tg_table_name, to_char(early, 'YYYY-MM'),
            to_char(closed, 'YYYY-MM') USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

-- One look at what a statement adds, once a statement. If each statement adds as much debit as credit to each entry, every entry
-- balances at any time: there is nothing else to look at, and nothing is ever changed or taken away.
CREATE FUNCTION billing.is_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    bad record;
BEGIN
    SELECT a.source_topic, a.source_partition, a.source_offset, sum(a.debit_minor) AS debit, sum(a.credit_minor) AS credit INTO bad
      FROM added a
     GROUP BY a.source_topic, a.source_partition, a.source_offset, a.currency, a.month
    HAVING sum(a.debit_minor) <> sum(a.credit_minor)
     LIMIT 1;
    IF FOUND THEN
        RAISE EXCEPTION 'billing.line: the entry of %[%]@% does not balance: debit %, credit %', bad.source_topic,
            bad.source_partition, bad.source_offset, bad.debit, bad.credit USING ERRCODE = 'check_violation';
    END IF;
    RETURN NULL;
END $$;

CREATE FUNCTION billing.is_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'billing.% is never changed: book a correction', tg_table_name USING ERRCODE = 'restrict_violation';
END $$;

CREATE TRIGGER open AFTER INSERT ON billing.document REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.is_open();
CREATE TRIGGER open AFTER INSERT ON billing.entry REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.is_open();
CREATE TRIGGER open AFTER INSERT ON billing.line REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.is_open();
CREATE TRIGGER balanced AFTER INSERT ON billing.line REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION billing.is_balanced();
CREATE TRIGGER final BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.document FOR EACH STATEMENT EXECUTE FUNCTION billing.is_final();
CREATE TRIGGER final BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.instalment FOR EACH STATEMENT EXECUTE FUNCTION billing.is_final();
CREATE TRIGGER final BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.entry FOR EACH STATEMENT EXECUTE FUNCTION billing.is_final();
CREATE TRIGGER final BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.line FOR EACH STATEMENT EXECUTE FUNCTION billing.is_final();
CREATE TRIGGER final BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.act FOR EACH STATEMENT EXECUTE FUNCTION billing.is_final();
CREATE TRIGGER final BEFORE UPDATE OR DELETE OR TRUNCATE ON billing.period FOR EACH STATEMENT EXECUTE FUNCTION billing.is_final();

-- ---- what people read ----

CREATE VIEW billing.trial_balance AS
SELECT l.currency, l.account, a.name, a.kind, sum(l.debit_minor) AS debit_minor, sum(l.credit_minor) AS credit_minor,
       sum(l.debit_minor) - sum(l.credit_minor) AS balance_minor
  FROM billing.line l LEFT JOIN billing.account a ON a.code = l.account
 GROUP BY l.currency, l.account, a.name, a.kind
 ORDER BY l.currency, l.account;
COMMENT ON VIEW billing.trial_balance IS 'Each account with all that was booked so far. By currency, debits and credits add up to the same.';

CREATE VIEW billing.turnover AS
SELECT t.month, t.currency, t.account, a.name, a.kind, sum(t.debit - t.credit) OVER w - (t.debit - t.credit) AS opening_minor,
       t.debit AS debit_minor, t.credit AS credit_minor, sum(t.debit - t.credit) OVER w AS closing_minor
  FROM (SELECT l.month, l.currency, l.account, sum(l.debit_minor) AS debit, sum(l.credit_minor) AS credit
          FROM billing.line l GROUP BY l.month, l.currency, l.account) t
  LEFT JOIN billing.account a ON a.code = t.account
WINDOW w AS (PARTITION BY t.currency, t.account ORDER BY t.month)
 ORDER BY t.month, t.currency, t.account;
COMMENT ON VIEW billing.turnover IS 'Each account by month, with its balance before and after. Months in which an account was not used are left out.';

CREATE VIEW billing.due AS
SELECT d.policy_id, d.policy_version, n.number, n.due_on, n.amount_minor, d.currency
  FROM billing.document d JOIN billing.instalment n USING (source_topic, source_partition, source_offset);
COMMENT ON VIEW billing.due IS 'Instalments by policy.';

CREATE VIEW billing.act_line AS
SELECT a.agent_id, a.month, a.currency, a.number AS act_number,
       row_number() OVER (PARTITION BY a.agent_id, a.month, a.currency ORDER BY d.policy_id, d.policy_version) AS number,
       d.policy_id || '/' || d.policy_version AS document, d.kind, d.issued_on, d.starts_on, d.ends_on, d.amount_minor,
       d.commission_minor
  FROM billing.act a JOIN billing.document d USING (agent_id, month, currency);
COMMENT ON VIEW billing.act_line IS 'Lines of acts, numbered 1, 2, 3 without a gap. They cannot change: the month is closed, and documents are final.';

-- What must never be; empty if all is well. It reads whole tables: for audits, not for monitoring.
CREATE VIEW billing.faults AS
SELECT 'entry does not balance' AS fault, format('%s[%s]@%s', l.source_topic, l.source_partition, l.source_offset) AS what
  FROM billing.line l GROUP BY l.source_topic, l.source_partition, l.source_offset
HAVING sum(l.debit_minor) <> sum(l.credit_minor) OR min(l.month) <> max(l.month) OR min(l.currency) <> max(l.currency)
UNION ALL
SELECT 'line without its entry', format('%s[%s]@%s', l.source_topic, l.source_partition, l.source_offset)
  FROM billing.line l LEFT JOIN billing.entry e USING (source_topic, source_partition, source_offset)
 WHERE (e.month, e.currency) IS DISTINCT FROM (l.month, l.currency)
UNION ALL
SELECT 'document and entry differ', format('%s/%s', coalesce(d.policy_id, e.policy_id), coalesce(d.policy_version, e.policy_version))
  FROM (SELECT * FROM billing.document WHERE amount_minor > 0) d
  FULL JOIN billing.entry e USING (source_topic, source_partition, source_offset)
 WHERE (d.policy_id, d.policy_version, d.month, d.currency) IS DISTINCT FROM (e.policy_id, e.policy_version, e.month, e.currency)
UNION ALL
SELECT 'instalments do not add up', format('%s/%s', d.policy_id, d.policy_version)
  FROM billing.document d LEFT JOIN billing.instalment n USING (source_topic, source_partition, source_offset)
 GROUP BY d.policy_id, d.policy_version, d.kind, d.amount_minor
HAVING coalesce(sum(n.amount_minor), 0) <> CASE d.kind WHEN 'invoice' THEN d.amount_minor ELSE 0 END
UNION ALL
SELECT 'credit note above its invoice', format('%s/%s', c.policy_id, c.policy_version)
  FROM billing.document c LEFT JOIN billing.document d ON d.policy_id = c.policy_id AND d.policy_version = c.corrects AND d.kind = 'invoice'
 WHERE c.kind = 'credit_note' AND (d.amount_minor IS NULL OR c.amount_minor > d.amount_minor OR c.agent_id <> d.agent_id)
UNION ALL
SELECT 'act and documents differ', format('%s %s %s', coalesce(a.agent_id, d.agent_id), to_char(coalesce(a.month, d.month), 'YYYY-MM'),
                                          coalesce(a.currency, d.currency))
  FROM billing.act a
  FULL JOIN (SELECT x.agent_id, x.month, x.currency, count(*) AS documents,
                    coalesce(sum(x.amount_minor) FILTER (WHERE x.kind = 'invoice'), 0) AS charged,
                    coalesce(sum(x.amount_minor) FILTER (WHERE x.kind = 'credit_note'), 0) AS refunded,
                    sum(CASE x.kind WHEN 'invoice' THEN x.commission_minor ELSE -x.commission_minor END) AS commission
               FROM billing.document x WHERE x.month <= (SELECT max(p.month) FROM billing.period p)
              GROUP BY x.agent_id, x.month, x.currency) d
    ON (d.agent_id, d.month, d.currency) = (a.agent_id, a.month, a.currency)
 WHERE (a.documents, a.charged_minor, a.refunded_minor, a.commission_minor) IS DISTINCT FROM (d.documents, d.charged, d.refunded, d.commission)
UNION ALL
SELECT 'act numbers have a gap', a.agent_id FROM billing.act a GROUP BY a.agent_id HAVING count(*) <> max(a.number) OR min(a.number) <> 1;
COMMENT ON VIEW billing.faults IS 'What must never be: empty if all is well.';
