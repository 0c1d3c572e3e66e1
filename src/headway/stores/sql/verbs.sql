-- The verbs of a store: each decides by the rules and writes, in one statement of its caller.
--
-- 1. Rows are locked in the order of their ids, one at a time, so that no two batches wait for each other.
--    Whoever calls `write` brings its items in that order.
-- 2. A batch of progress is committed without waiting for the disk and tells of itself in the same
--    transaction.  An end is on the disk before it is acknowledged; its notice follows in a transaction of
--    its own (`ring`), because a notice holds a lock of the whole server until its transaction is committed.
-- 3. Whoever waits for a lock gives up before its caller does, so that no server process is left waiting.

CREATE FUNCTION headway.patience() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('lock_timeout', '400ms', true);
END
$$;

-- The channel on which changes of one job, of a scope, or (of nothing) of every job are told.
CREATE FUNCTION headway.channel(sort text, name text) RETURNS text LANGUAGE sql IMMUTABLE AS $$
    SELECT 'headway_' || left(
        encode(sha256(convert_to('headway_schema/' || sort || '/' || name, 'UTF8')), 'hex'), 40
    )
$$;

-- Tell those who listen.
CREATE FUNCTION headway.ring(ids text[], scopes text[]) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('synchronous_commit', 'off', true);
    PERFORM pg_notify(headway.channel('every', ''), rung.id), pg_notify(headway.channel('id', rung.id), rung.id)
    FROM unnest(ids) AS rung (id);
    PERFORM pg_notify(headway.channel('scope', rung.scope), rung.id)
    FROM unnest(ids, scopes) AS rung (id, scope) WHERE rung.scope IS NOT NULL;
END
$$;

CREATE FUNCTION headway.answered(job headway.job, outcome text, rings boolean) RETURNS headway.answer
LANGUAGE sql IMMUTABLE AS $$
    SELECT ROW(
        job.id, outcome, coalesce(job.version, 0), coalesce(job.attempt, 0), job.run,
        coalesce(job.status, ''), job.cancel, coalesce(job.details_version, 0), job.scope, rings
    )::headway.answer
$$;

-- Add a row; whether nobody else has added it meanwhile.
CREATE FUNCTION headway.added(head headway.job) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO headway.job (
        id, version, attempt, step, run, status, cancel, cancellable, lease, retention, scope, parent,
        parent_attempt, created_at, started_at, ended_at, seen_at, expires_at, facts, details_version, parts, counts,
        children_weight, children_done, children, children_ended, children_failed, sweep_at
    ) VALUES (
        head.id, head.version, head.attempt, head.step, head.run, head.status, head.cancel, head.cancellable,
        head.lease, head.retention, head.scope, head.parent, head.parent_attempt, head.created_at,
        head.started_at, head.ended_at, head.seen_at, head.expires_at, head.facts, head.details_version, head.parts,
        head.counts, head.children_weight, head.children_done, head.children, head.children_ended,
        head.children_failed, head.sweep_at
    ) ON CONFLICT (id) DO NOTHING;
    RETURN FOUND;
END
$$;

CREATE FUNCTION headway.put(head headway.job) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    UPDATE headway.job SET
        version = head.version, attempt = head.attempt, step = head.step, run = head.run,
        status = head.status, cancel = head.cancel, cancellable = head.cancellable, lease = head.lease,
        retention = head.retention, scope = head.scope, parent = head.parent,
        parent_attempt = head.parent_attempt, created_at = head.created_at, started_at = head.started_at,
        ended_at = head.ended_at, seen_at = head.seen_at, expires_at = head.expires_at, facts = head.facts,
        details_version = head.details_version, parts = head.parts, counts = head.counts,
        children_weight = head.children_weight, children_done = head.children_done,
        children = head.children, children_ended = head.children_ended,
        children_failed = head.children_failed, sweep_at = head.sweep_at
    WHERE job.id = head.id;
END
$$;

CREATE FUNCTION headway.drop(name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    DELETE FROM headway.part WHERE part.job = name;
    DELETE FROM headway.detail WHERE detail.id = name;
    DELETE FROM headway.job WHERE job.id = name;
END
$$;

-- What a new attempt starts from: messages and meta stay, its own meta counts.  Error and result go when it
-- has begun; while it is pending, whoever begins it will want to say why the one before failed.
CREATE FUNCTION headway.begin_details(name text, known boolean, brought jsonb, begun boolean) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    IF known THEN
        UPDATE headway.detail SET
            meta = coalesce(brought ->> 'meta', meta),
            error = CASE WHEN begun THEN NULL ELSE error END,
            result = CASE WHEN begun THEN NULL ELSE result END,
            told = CASE WHEN begun THEN NULL ELSE told END
        WHERE detail.id = name;
        RETURN;
    END IF;
    IF begun THEN
        DELETE FROM headway.detail WHERE detail.id = name;
    END IF;
    IF brought IS NOT NULL THEN
        PERFORM headway.put_details(name, brought);
    END IF;
END
$$;

CREATE FUNCTION headway.put_details(name text, told jsonb) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO headway.detail (id, messages, error, result, meta)
    VALUES (name, told ->> 'messages', told ->> 'error', told ->> 'result', told ->> 'meta')
    ON CONFLICT (id) DO UPDATE SET
        messages = excluded.messages, error = excluded.error, result = excluded.result, meta = excluded.meta;
END
$$;

CREATE FUNCTION headway.seen(outcome text, now bigint, job headway.job) RETURNS headway.sight
LANGUAGE plpgsql AS $$
DECLARE
    sight headway.sight;
BEGIN
    SELECT detail.messages, detail.error, detail.result, detail.meta, detail.told
        INTO sight.messages, sight.error, sight.result, sight.meta, sight.told
        FROM headway.detail WHERE detail.id = job.id;
    sight.outcome := outcome;
    sight.now := now;
    sight.job := job;
    RETURN sight;
END
$$;

-- The job as it was (of which nothing may have been known), then, where it was opened, as it is now.
CREATE FUNCTION headway.open(told jsonb, over text, alone boolean) RETURNS SETOF headway.sight
LANGUAGE plpgsql AS $$
DECLARE
    known headway.job;
    now bigint;
    decision record;
    head headway.job;
BEGIN
    PERFORM headway.patience();
    LOOP
        SELECT * INTO known FROM headway.job WHERE job.id = told ->> 'id' FOR UPDATE;
        now := headway.clock();
        decision := headway.open_job(
            known, jsonb_populate_record(headway.blank(), told), over, alone, now
        );
        head := decision.head;
        IF head.id IS NULL THEN
            RETURN NEXT headway.seen(decision.outcome, now, known);
            IF decision.outcome = 'same' THEN
                RETURN NEXT headway.seen(decision.outcome, now, known);
            END IF;
            RETURN;
        END IF;
        head.details_version :=
            CASE WHEN known.details_version > 0 OR told ? 'details' THEN head.version ELSE 0 END;
        EXIT WHEN known.id IS NOT NULL OR headway.added(head);
    END LOOP;
    RETURN NEXT headway.seen(decision.outcome, now, known);
    IF known.id IS NOT NULL THEN
        DELETE FROM headway.part WHERE part.job = known.id;
        PERFORM headway.put(head);
    END IF;
    PERFORM headway.begin_details(
        head.id, coalesce(known.details_version > 0, false), told -> 'details',
        headway.phase(head.status, head.ended_at) > 0
    );
    RETURN NEXT headway.seen(decision.outcome, now, head);
END
$$;

-- Take in parts of a job: counts and shares by maximum, the rest from the newer report.  Where none is news,
-- the answer is to the last of them.
CREATE FUNCTION headway.take_parts(
    known headway.job, told jsonb, now bigint,
    OUT outcome text, OUT head headway.job, OUT rings boolean
) LANGUAGE plpgsql AS $$
DECLARE
    ends CONSTANT text[] := '{completed,failed,cancelled,stopped}';
    room integer := 10000 - known.parts;
    last CONSTANT jsonb := told -> -1;
    sums record;
BEGIN
    rings := false;
    IF known.id IS NULL THEN
        outcome := 'missing';
        RETURN;
    ELSIF (last ->> 'attempt')::bigint <> known.attempt THEN
        outcome := 'superseded';
    END IF;
    IF headway.phase(known.status, known.ended_at) = 3 THEN
        outcome := coalesce(outcome, 'ended');
        RETURN;
    END IF;

    WITH incoming AS (
        SELECT * FROM ROWS FROM (jsonb_to_recordset(told) AS (
            key text, attempt bigint, run bigint, step bigint, count numeric, weight numeric, share bigint,
            status text, stage text
        )) WITH ORDINALITY AS one (key, attempt, run, step, count, weight, share, status, stage, place)
        WHERE one.attempt = known.attempt
    ), newest AS (
        SELECT DISTINCT ON (incoming.key)
            incoming.key, incoming.run, incoming.step, incoming.weight, incoming.status, incoming.stage,
            max(incoming.count) OVER same AS count, max(incoming.share) OVER same AS share,
            min(incoming.place) OVER same AS place, incoming.status = ANY (ends) AS ended
        FROM incoming
        WINDOW same AS (PARTITION BY incoming.key)
        ORDER BY incoming.key, incoming.run DESC, incoming.status = ANY (ends) DESC, incoming.step DESC,
            incoming.place DESC
    ), met AS (
        SELECT newest.*, old.key IS NULL AS fresh, old.run AS old_run, old.step AS old_step,
            old.count AS old_count, old.weight AS old_weight, old.share AS old_share,
            old.status AS old_status, old.stage AS old_stage,
            row_number() OVER (PARTITION BY old.key IS NULL ORDER BY newest.place) AS number,
            old.key IS NULL OR (newest.run, newest.ended, newest.step)
                >= (old.run, old.status = ANY (ends), old.step) AS newer
        FROM newest LEFT JOIN LATERAL (
            SELECT * FROM headway.part WHERE part.job = known.id AND part.key = newest.key LIMIT 1
        ) AS old ON true
    ), merged AS (
        SELECT key, fresh, old_run, old_step, old_count, old_weight, old_share, old_status, old_stage,
            CASE WHEN newer THEN run ELSE old_run END AS run,
            CASE WHEN newer THEN step ELSE old_step END AS step,
            greatest(count, old_count) AS count,
            CASE WHEN newer THEN weight ELSE old_weight END AS weight,
            greatest(share, old_share) AS share,
            CASE WHEN newer THEN status ELSE old_status END AS status,
            CASE WHEN newer THEN stage ELSE old_stage END AS stage
        FROM met WHERE NOT fresh OR number <= room
    ), news AS (
        SELECT * FROM merged
        WHERE fresh OR (run, step, count, weight, share, status, stage)
            IS DISTINCT FROM (old_run, old_step, old_count, old_weight, old_share, old_status, old_stage)
    ), written AS (
        INSERT INTO headway.part (job, key, run, step, count, weight, share, status, stage)
        SELECT known.id, key, run, step, count, weight, share, status, stage FROM news
        ON CONFLICT (job, key) DO UPDATE SET
            run = excluded.run, step = excluded.step, count = excluded.count, weight = excluded.weight,
            share = excluded.share, status = excluded.status, stage = excluded.stage
    ), changes AS (
        SELECT coalesce('.' || stage, '') AS stage, count AS more, 1 AS hands FROM news WHERE weight IS NULL
        UNION ALL
        SELECT coalesce('.' || old_stage, ''), -old_count, -1 FROM news WHERE NOT fresh AND old_weight IS NULL
    ), by_stage AS (
        SELECT stage, coalesce((known.counts -> stage ->> 0)::numeric, 0) + sum(more) AS count,
            coalesce((known.counts -> stage ->> 1)::integer, 0) + sum(hands) AS hands
        FROM changes GROUP BY stage
    ), counts AS (
        SELECT jsonb_object_agg(stage, jsonb_build_array(count, hands)) AS counts FROM by_stage
    )
    SELECT
        (SELECT count(*) FROM merged) AS taken,
        EXISTS (SELECT FROM merged WHERE key = last ->> 'key') AS last_taken,
        count(*) AS news,
        count(*) FILTER (WHERE fresh) AS fresh,
        (SELECT counts.counts FROM counts) AS counts,
        coalesce(sum(weight), 0) - coalesce(sum(old_weight), 0) AS weight,
        coalesce(sum(weight * share), 0) - coalesce(sum(old_weight * old_share), 0) AS done,
        count(weight) - count(old_weight) AS children,
        count(weight) FILTER (WHERE status = ANY (ends))
            - count(old_weight) FILTER (WHERE old_status = ANY (ends)) AS ended,
        count(weight) FILTER (WHERE status = 'failed')
            - count(old_weight) FILTER (WHERE old_status = 'failed') AS failed
    INTO sums FROM news;

    IF sums.taken = 0 THEN
        outcome := coalesce(outcome, 'full');
        RETURN;
    END IF;
    head := known;
    head.seen_at := now;
    IF sums.news = 0 AND NOT headway.stalled(known, now) THEN
        outcome := coalesce(outcome, CASE WHEN sums.last_taken THEN 'heartbeat' ELSE 'full' END);
        head := headway.kept(head, known);
        RETURN;
    END IF;
    head.parts := head.parts + sums.fresh;
    head.counts := head.counts || coalesce(sums.counts, '{}');
    head.children_weight := head.children_weight + sums.weight;
    head.children_done := head.children_done + sums.done;
    head.children := head.children + sums.children;
    head.children_ended := head.children_ended + sums.ended;
    head.children_failed := head.children_failed + sums.failed;
    outcome := 'applied';
    rings := true;
    head := headway.versioned(head, known, now);
END
$$;

-- Take in what a batch says of one job: its records in order, then its parts.
CREATE FUNCTION headway.take(name text, records jsonb, parts jsonb) RETURNS headway.answer
LANGUAGE plpgsql AS $$
DECLARE
    known headway.job;
    head headway.job;
    told jsonb;
    details jsonb;
    decision record;
    outcome text;
    rings boolean;
    changed boolean;
    rises boolean;
    details_version bigint;
BEGIN
    LOOP
        SELECT * INTO known FROM headway.job WHERE job.id = name FOR UPDATE;
        head := known;
        details := NULL;
        rings := false;
        changed := false;
        FOR told IN SELECT one FROM jsonb_array_elements(records) AS one LOOP
            rises := head.id IS NULL OR (told ->> 'attempt')::bigint > head.attempt;
            decision := headway.report(
                head,
                jsonb_populate_record(CASE WHEN rises THEN headway.blank() ELSE head END, told),
                headway.clock()
            );
            outcome := decision.outcome;
            IF (decision.head).id IS NOT NULL THEN
                details_version := coalesce(head.details_version, 0);
                head := decision.head;
                IF rises THEN
                    DELETE FROM headway.part WHERE part.job = name;
                    head.details_version := details_version;
                END IF;
                changed := true;
                rings := rings OR decision.rings;
                IF told ? 'details' THEN
                    details := told -> 'details';
                    head.details_version := head.version;
                END IF;
            END IF;
        END LOOP;
        EXIT WHEN known.id IS NOT NULL OR head.id IS NULL OR headway.added(head);
    END LOOP;
    IF known.id IS NULL THEN
        changed := false;
    END IF;
    IF details IS NOT NULL THEN
        PERFORM headway.put_details(name, details);
    END IF;
    IF parts IS NOT NULL THEN
        decision := headway.take_parts(head, parts, headway.clock());
        outcome := coalesce(outcome, decision.outcome);
        IF (decision.head).id IS NOT NULL THEN
            head := decision.head;
            changed := true;
            rings := rings OR decision.rings;
        END IF;
    END IF;
    IF changed THEN
        PERFORM headway.put(head);
    END IF;
    RETURN headway.answered(head, outcome, rings);
END
$$;

CREATE FUNCTION headway.write(batch jsonb, listening text[]) RETURNS SETOF headway.answer
LANGUAGE plpgsql AS $$
DECLARE
    item record;
    answer headway.answer;
    answers headway.answer[] := '{}';
    ends boolean := false;
BEGIN
    PERFORM headway.patience();
    FOR item IN SELECT * FROM jsonb_to_recordset(batch) AS one (id text, records jsonb, parts jsonb) LOOP
        answer := headway.take(item.id, item.records, item.parts);
        answer.id := item.id;
        ends := ends OR (answer.rings AND headway.phase(answer.status, NULL) = 3);
        answers := answers || answer;
    END LOOP;
    IF NOT ends THEN
        PERFORM set_config('synchronous_commit', 'off', true);
        PERFORM headway.ring(
            coalesce(array_agg(told.id), '{}'), coalesce(array_agg(told.scope), '{}')
        ) FROM unnest(answers) AS told WHERE told.rings HAVING count(*) > 0;
    END IF;
    FOREACH answer IN ARRAY answers LOOP
        answer.rings := answer.rings AND ends;
        RETURN NEXT answer;
    END LOOP;
    IF cardinality(listening) > 0 THEN
        RETURN QUERY SELECT (headway.answered(job, 'heard', false)).*
            FROM headway.job WHERE job.id = ANY (listening);
    END IF;
END
$$;

CREATE FUNCTION headway.end(name text, attempt bigint, status text, error text) RETURNS headway.answer
LANGUAGE plpgsql AS $$
DECLARE
    known headway.job;
    decision record;
BEGIN
    PERFORM headway.patience();
    SELECT * INTO known FROM headway.job WHERE job.id = name FOR UPDATE;
    decision := headway.end_job(known, attempt, status, headway.clock());
    IF (decision.head).id IS NULL THEN
        RETURN headway.answered(known, decision.outcome, false);
    END IF;
    PERFORM headway.put(decision.head);
    IF error IS NOT NULL THEN
        INSERT INTO headway.detail (id, told) VALUES (name, error)
        ON CONFLICT (id) DO UPDATE SET told = excluded.told;
    END IF;
    RETURN headway.answered(decision.head, decision.outcome, true);
END
$$;

CREATE FUNCTION headway.cancel(name text) RETURNS headway.answer LANGUAGE plpgsql AS $$
DECLARE
    known headway.job;
    decision record;
BEGIN
    PERFORM headway.patience();
    SELECT * INTO known FROM headway.job WHERE job.id = name FOR UPDATE;
    decision := headway.request_cancel(known, headway.clock());
    IF (decision.head).id IS NULL THEN
        RETURN headway.answered(known, decision.outcome, false);
    END IF;
    PERFORM headway.put(decision.head);
    RETURN headway.answered(decision.head, decision.outcome, true);
END
$$;

CREATE FUNCTION headway.forget(name text) RETURNS headway.answer LANGUAGE plpgsql AS $$
DECLARE
    known headway.job;
BEGIN
    PERFORM headway.patience();
    SELECT * INTO known FROM headway.job WHERE job.id = name FOR UPDATE;
    IF known.id IS NULL THEN
        RETURN headway.answered(known, 'missing', false);
    ELSIF headway.phase(known.status, known.ended_at) <> 3 AND NOT headway.stalled(known, headway.clock()) THEN
        RETURN headway.answered(known, 'live', false);
    END IF;
    PERFORM headway.drop(name);
    RETURN headway.answered(known, 'forgotten', true);
END
$$;

-- Time passes: past their retention jobs are dropped, and stalled ones that were asked to stop end.
CREATE FUNCTION headway.sweep(most integer) RETURNS SETOF headway.answer LANGUAGE plpgsql AS $$
DECLARE
    now bigint := headway.clock();
    known headway.job;
    left_over integer := most;
BEGIN
    FOR known IN
        SELECT * FROM headway.job WHERE sweep_at < now AND expires_at < now
        ORDER BY sweep_at LIMIT most FOR UPDATE SKIP LOCKED
    LOOP
        PERFORM headway.drop(known.id);
        left_over := left_over - 1;
        RETURN NEXT headway.answered(known, 'dropped', true);
    END LOOP;
    FOR known IN
        SELECT * FROM headway.job
        WHERE cancel IS NOT NULL AND ended_at IS NULL AND cancellable AND headway.stalled(job, now)
        ORDER BY id LIMIT left_over FOR UPDATE SKIP LOCKED
    LOOP
        known := headway.cancelled_by_store(known, now);
        PERFORM headway.put(known);
        RETURN NEXT headway.answered(known, 'applied', true);
    END LOOP;
END
$$;

-- Keep what a completed run left: the last runs of a kind, and the last kinds used.
CREATE FUNCTION headway.learn(name text, learnt text, runs integer, kinds integer) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM headway.patience();
    IF learnt IS NULL THEN
        DELETE FROM headway.profile WHERE profile.kind = name;
        RETURN;
    END IF;
    LOCK TABLE headway.profile IN SHARE ROW EXCLUSIVE MODE;
    INSERT INTO headway.profile
        SELECT name, greatest(headway.clock(), coalesce(max(profile.at) + 1, 0)), learnt
        FROM headway.profile WHERE profile.kind = name;
    DELETE FROM headway.profile WHERE profile.kind = name AND profile.at NOT IN (
        SELECT last.at FROM headway.profile AS last WHERE last.kind = name ORDER BY last.at DESC LIMIT runs
    );
    DELETE FROM headway.profile WHERE profile.kind NOT IN (
        SELECT last.kind FROM headway.profile AS last GROUP BY last.kind ORDER BY max(last.at) DESC LIMIT kinds
    );
END
$$;
