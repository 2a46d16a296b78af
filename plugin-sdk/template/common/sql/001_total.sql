-- Steps are never changed once they are released: the next change is a file of its own.
CREATE SCHEMA IF NOT EXISTS @name@;

CREATE TABLE @name@.total (
    customer    text COLLATE "C" PRIMARY KEY,
    orders      bigint NOT NULL CHECK (orders > 0),
    total_minor bigint NOT NULL CHECK (total_minor >= 0)
);
