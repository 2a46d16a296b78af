-- A period may have several invoices and credit notes: what was added to it, and what was taken off.
COMMENT ON COLUMN billing.document.corrects IS 'Of a credit note: the policy_version of the last invoice of its period.';
COMMENT ON COLUMN billing.document.agent_id IS 'Empty: sold without an agent. Of a credit note, and of what was added to a period: that of the period''s first invoice.';

-- What must never be; empty if all is well. It reads whole tables: for audits, not for monitoring.
CREATE OR REPLACE VIEW billing.faults AS
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
  FROM (SELECT x.*, sum(CASE x.kind WHEN 'invoice' THEN x.amount_minor ELSE -x.amount_minor END)
                        OVER (PARTITION BY x.policy_id, x.starts_on, x.ends_on) AS rest_minor FROM billing.document x) c
  LEFT JOIN billing.document d ON d.policy_id = c.policy_id AND d.policy_version = c.corrects AND d.kind = 'invoice'
   AND d.starts_on = c.starts_on AND d.ends_on = c.ends_on
 WHERE c.kind = 'credit_note' AND (d.amount_minor IS NULL OR c.rest_minor < 0 OR c.agent_id <> d.agent_id)
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
