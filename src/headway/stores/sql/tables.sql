-- What is kept.  Times are whole microseconds since 1970 by this server's clock, durations are seconds.
-- `headway` stands for the schema in which the records are kept.

CREATE FUNCTION headway.layout() RETURNS integer LANGUAGE sql IMMUTABLE AS 'SELECT 1';

CREATE FUNCTION headway.clock() RETURNS bigint LANGUAGE sql VOLATILE AS
    'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint';

-- The rank of a status within an attempt; one that is not known counts as running or ended.
CREATE FUNCTION headway.phase(status text, ended_at bigint) RETURNS smallint LANGUAGE sql IMMUTABLE AS $$
    SELECT (CASE
        WHEN ended_at IS NOT NULL OR status IN ('completed', 'failed', 'cancelled', 'stopped') THEN 3
        WHEN status = 'pending' THEN 0
        WHEN status = 'retrying' THEN 2
        ELSE 1
    END)::smallint
$$;

-- The status that a reader sees, but for `stalled`; one that a newer version wrote is taken for what it is.
CREATE FUNCTION headway.reads(status text, ended_at bigint) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT CASE
        WHEN status IN ('pending', 'running', 'retrying', 'completed', 'failed', 'cancelled', 'stopped')
            THEN status
        WHEN ended_at IS NOT NULL THEN 'stopped'
        ELSE 'running'
    END
$$;

-- No index holds a column that changes while a job only gets on, so that such a change writes no index:
-- `sweep_at` is `expires_at` for what has ended, and for what lives a rough one that moves rarely.
-- `counts` has for each stage ('.name', or '' for the job itself) what pool workers did, and how many they are.
CREATE TABLE headway.job (
    id text COLLATE "C" PRIMARY KEY,
    version bigint NOT NULL,
    attempt bigint NOT NULL,
    step bigint NOT NULL,
    run text,
    status text NOT NULL,
    cancel text,
    cancellable boolean NOT NULL,
    lease double precision NOT NULL,
    retention double precision NOT NULL,
    scope text COLLATE "C",
    parent text COLLATE "C",
    parent_attempt bigint,
    created_at bigint NOT NULL,
    started_at bigint,
    ended_at bigint,
    seen_at bigint,
    expires_at bigint,
    facts text NOT NULL,
    details_version bigint NOT NULL,
    parts integer NOT NULL,
    counts jsonb NOT NULL,
    children_weight numeric NOT NULL,
    children_done numeric NOT NULL,
    children integer NOT NULL,
    children_ended integer NOT NULL,
    children_failed integer NOT NULL,
    sweep_at bigint NOT NULL,
    phase smallint GENERATED ALWAYS AS (headway.phase(status, ended_at)) STORED,
    reads text COLLATE "C" GENERATED ALWAYS AS (headway.reads(status, ended_at)) STORED
) WITH (fillfactor = 70, autovacuum_vacuum_scale_factor = 0.05);

CREATE INDEX job_created ON headway.job (created_at, id);
CREATE INDEX job_reads ON headway.job (reads, created_at, id);
CREATE INDEX job_scope ON headway.job (scope, created_at, id) WHERE scope IS NOT NULL;
CREATE INDEX job_scope_reads ON headway.job (scope, reads, created_at, id) WHERE scope IS NOT NULL;
CREATE INDEX job_parent ON headway.job (parent, created_at, id) WHERE parent IS NOT NULL;
CREATE INDEX job_sweep ON headway.job (sweep_at);
CREATE INDEX job_asked ON headway.job (id) WHERE cancel IS NOT NULL AND ended_at IS NULL;

-- What is large and changes rarely, each as JSON.  `told` is an error told by somebody else than the worker.
CREATE TABLE headway.detail (
    id text COLLATE "C" PRIMARY KEY,
    messages text,
    error text,
    result text,
    meta text,
    told text
);

CREATE TABLE headway.part (
    job text COLLATE "C" NOT NULL,
    key text COLLATE "C" NOT NULL,
    run bigint NOT NULL,
    step bigint NOT NULL,
    count numeric NOT NULL,
    weight numeric,
    share bigint NOT NULL,
    status text NOT NULL,
    stage text,
    PRIMARY KEY (job, key)
) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);

CREATE TABLE headway.profile (kind text COLLATE "C" NOT NULL, at bigint NOT NULL, data text NOT NULL);
CREATE INDEX profile_kind ON headway.profile (kind, at);

-- What the store says to whoever reports.  `rings`: its watchers are still to be told.
CREATE TYPE headway.answer AS (
    id text, outcome text, version bigint, attempt bigint, run text, status text, cancel text,
    details_version bigint, scope text, rings boolean
);

-- A job as `open` met it, or as it left it.
CREATE TYPE headway.sight AS (
    outcome text, now bigint, job headway.job, messages text, error text, result text, meta text, told text
);
