-- The demo's savings accounts.  Everybody's password is "demo".

CREATE TABLE users (
    login     text PRIMARY KEY,
    name      text NOT NULL,
    salt      bytea NOT NULL,
    password  bytea NOT NULL    -- sha256(salt || password); a real one is slow
);

CREATE TABLE allocations (
    id     bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    login  text NOT NULL REFERENCES users,
    day    date NOT NULL,
    goal   text NOT NULL,
    cents  integer NOT NULL CHECK (cents > 0)
);

CREATE INDEX ON allocations (login, day);


INSERT INTO users
SELECT login, name, salt, sha256(salt || 'demo'::bytea)
  FROM (SELECT login, name, decode(md5(random()::text), 'hex') AS salt
          FROM (VALUES ('alice', 'Alice Archer'),
                       ('bob',   'Bob Baker'),
                       ('carol', 'Carol Carter'),
                       ('dave',  'Dave Dyer')) AS v (login, name)) AS u;

-- one booking a day since the start of last year

INSERT INTO allocations (login, day, goal, cents)
SELECT login, d::date,
       (ARRAY['holiday', 'rent', 'rainy day', 'bicycle', 'old age'])
           [1 + extract(day FROM d)::int % 5],
       500 + 250 * (1 + extract(doy FROM d)::int % 12) + ascii(login)
  FROM users,
       generate_series(date_trunc('year', now()) - interval '1 year',
                       date_trunc('year', now()) + interval '1 year'
                           - interval '1 day',
                       interval '1 day') AS d;
