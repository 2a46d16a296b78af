-- What corrections and late events need. Columns may be NULL: rows of older versions have none of it, and older workers may go on
-- writing until they are replaced.
ALTER TABLE underwriting.policy ADD COLUMN cancelled_on date, ADD COLUMN facts text;
COMMENT ON COLUMN underwriting.policy.cancelled_on IS 'Last day of cover of a cancelled policy.';
COMMENT ON COLUMN underwriting.policy.facts IS 'Its periods and their facts, for late events. The format is in plugins/underwriting/README.md.';

ALTER TABLE underwriting.premium ADD COLUMN starts_on date, ADD COLUMN ends_on date, ADD COLUMN from_day date,
    ADD COLUMN bonus_malus text, ADD COLUMN claims integer;
COMMENT ON COLUMN underwriting.premium.kind IS 'issued, renewed, cancelled, corrected; reclassed: an event of another period changed the class of this one.';
COMMENT ON COLUMN underwriting.premium.starts_on IS 'First day of the period whose cost changed.';
COMMENT ON COLUMN underwriting.premium.ends_on IS 'Last day of that period.';
COMMENT ON COLUMN underwriting.premium.from_day IS 'First day of the facts that it is about.';
COMMENT ON COLUMN underwriting.premium.bonus_malus IS 'Class from from_day on; NULL: the event says nothing about it.';
COMMENT ON COLUMN underwriting.premium.claims IS 'That the class of the period followed from; NULL: none, it was given.';

CREATE VIEW underwriting.bonus_malus AS
SELECT policy_id, starts_on, ends_on, from_day, lag(class) OVER w AS class_before, claims, class, kind, event_id, policy_version
  FROM (SELECT DISTINCT ON (policy_id, starts_on, from_day) policy_id, starts_on, ends_on, from_day, claims, bonus_malus AS class, kind,
               event_id, policy_version
          FROM underwriting.premium
         WHERE bonus_malus IS NOT NULL
         ORDER BY policy_id, starts_on, from_day, policy_version DESC) last
WINDOW w AS (PARTITION BY policy_id ORDER BY starts_on, from_day);
COMMENT ON VIEW underwriting.bonus_malus IS 'The class of each policy by period, what it followed from, and the event that said so last.';
