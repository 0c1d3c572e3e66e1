-- The life of a job: the rules of headway/core/transitions.py, in the same order and under the same names.
-- A function that decides gives `head`, the row to keep from now on, with a null id when nothing changes.

CREATE FUNCTION headway.stalled(job headway.job, now bigint) RETURNS boolean LANGUAGE sql IMMUTABLE AS $$
    SELECT coalesce(
        headway.phase(job.status, job.ended_at) = 1 AND job.seen_at + job.lease * 1000000 < now, false
    )
$$;

-- A row for a job of which nothing is known.
CREATE FUNCTION headway.blank() RETURNS headway.job LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    job headway.job;
BEGIN
    job.facts := '{}';
    job.details_version := 0;
    job.parts := 0;
    job.counts := '{}';
    job.children_weight := 0;
    job.children_done := 0;
    job.children := 0;
    job.children_ended := 0;
    job.children_failed := 0;
    RETURN job;
END
$$;

-- With an expiry that only ever moves later.
CREATE FUNCTION headway.kept(head headway.job, known headway.job) RETURNS headway.job
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    phase smallint := headway.phase(head.status, head.ended_at);
    stays bigint;
    grain bigint;
BEGIN
    stays := least(
        head.retention + CASE phase WHEN 3 THEN 0 WHEN 1 THEN head.lease ELSE 86400 END, 1e11
    ) * 1000000;
    head.expires_at := greatest(coalesce(head.ended_at, head.seen_at, 0) + stays, known.expires_at);
    grain := CASE phase WHEN 3 THEN 1 ELSE greatest(stays / 16, 1) END;
    head.sweep_at := head.expires_at / grain * grain;
    RETURN head;
END
$$;

CREATE FUNCTION headway.versioned(head headway.job, known headway.job, now bigint) RETURNS headway.job
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    head.version := greatest(coalesce(known.version, 0) + 1, now);
    RETURN headway.kept(head, known);
END
$$;

CREATE FUNCTION headway.stamped(head headway.job, known headway.job, now bigint) RETURNS headway.job
LANGUAGE plpgsql IMMUTABLE AS $$
BEGIN
    head.ended_at := CASE WHEN headway.phase(head.status, head.ended_at) = 3 THEN now END;
    head.created_at := coalesce(head.created_at, now);
    head.seen_at := now;
    RETURN headway.versioned(head, known, now);
END
$$;

-- A request meets a job that nobody holds.  It stays `requested`: no claim may run the job.
CREATE FUNCTION headway.cancelled_by_store(known headway.job, now bigint) RETURNS headway.job
LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    head headway.job := known;
BEGIN
    head.status := 'cancelled';
    head.cancel := 'requested';
    head.ended_at := now;
    RETURN headway.versioned(head, known, now);
END
$$;

-- Create (over 'nothing'), reserve ('ended') or claim ('anything') an id.
CREATE FUNCTION headway.open_job(
    known headway.job, told headway.job, over text, alone boolean, now bigint,
    OUT outcome text, OUT head headway.job
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    phase smallint := headway.phase(known.status, known.ended_at);
    silent boolean := headway.stalled(known, now);
    retried boolean := phase <> 3 OR known.status = 'failed';
BEGIN
    IF known.id IS NULL THEN
        told.attempt := 1;
    ELSIF over = 'anything' THEN
        IF known.run = told.run THEN
            outcome := 'same';
        ELSIF known.status = 'cancelled' AND known.cancel = 'requested' THEN
            outcome := 'cancelled';
        ELSIF alone AND phase = 1 AND NOT silent THEN
            outcome := 'held';
        END IF;
        told.attempt := known.attempt + CASE phase WHEN 0 THEN 0 ELSE 1 END;
    ELSIF over = 'nothing' THEN
        outcome := 'exists';
    ELSIF phase <> 3 AND NOT silent THEN
        outcome := 'held';
    ELSE
        told.attempt := known.attempt + 1;
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN;
    END IF;

    IF over = 'anything' THEN
        told.status := 'running';
        told.started_at := now;
    ELSE
        told.status := 'pending';
        told.run := NULL;
    END IF;
    told.step := 0;
    told.ended_at := NULL;
    told.cancel := NULL;
    told.created_at := now;
    IF known.id IS NOT NULL THEN
        -- whose job it is was fixed when it was created; only a rerun is a new creation
        told.scope := CASE WHEN retried THEN coalesce(known.scope, told.scope)
            ELSE coalesce(told.scope, known.scope) END;
        told.parent_attempt := CASE WHEN told.parent IS NULL THEN known.parent_attempt
            ELSE told.parent_attempt END;
        told.parent := coalesce(told.parent, known.parent);
        told.created_at := CASE WHEN retried THEN known.created_at ELSE now END;
        told.cancel := CASE WHEN phase <> 3 AND known.cancel IS NOT NULL THEN 'requested' END;
    END IF;
    outcome := 'opened';
    head := headway.stamped(told, known, now);
END
$$;

-- A worker's (or, before anybody has claimed it, its creator's) word about its own attempt.
CREATE FUNCTION headway.report(
    known headway.job, told headway.job, now bigint,
    OUT outcome text, OUT head headway.job, OUT rings boolean
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    phase smallint := headway.phase(known.status, known.ended_at);
    told_phase smallint := headway.phase(told.status, told.ended_at);
BEGIN
    rings := false;
    IF known.id IS NULL THEN
        outcome := 'rebuilt';
        head := headway.stamped(told, known, now);
        rings := true;
        RETURN;
    END IF;

    -- A sender of a higher attempt met a store that lost its record.  If somebody else has claimed the id
    -- there since, that claim is the later one and holds.
    IF told.attempt < known.attempt
        OR (told.attempt > known.attempt AND known.run IS NOT NULL AND known.started_at > told.started_at)
        OR (told.attempt = known.attempt AND known.run IS DISTINCT FROM told.run AND known.run IS NOT NULL)
    THEN
        outcome := 'superseded';
    ELSIF told.attempt = known.attempt AND phase >= 2 AND told_phase <= phase THEN
        outcome := CASE WHEN told.status = known.status THEN 'same' ELSE 'ended' END;
    ELSIF (told.attempt, told_phase, told.step) < (known.attempt, phase, known.step) THEN
        outcome := 'late';
    END IF;
    IF outcome IS NOT NULL THEN
        RETURN;
    END IF;

    IF told.attempt = known.attempt THEN
        told.created_at := known.created_at;
        told.started_at := coalesce(known.started_at, told.started_at);
        told.scope := known.scope;
        told.parent := known.parent;
        told.parent_attempt := known.parent_attempt;
    END IF;
    told.cancel := CASE
        WHEN known.cancel = 'requested' AND told.cancel = 'seen' THEN 'seen'
        ELSE known.cancel
    END;
    IF told.status = 'retrying' AND told.cancel IS NOT NULL THEN
        IF phase = 3 THEN
            outcome := 'ended';
            RETURN;
        END IF;
        outcome := 'applied';
        head := headway.cancelled_by_store(known, now);
        head.facts := told.facts;
        rings := true;
        RETURN;
    END IF;
    IF (told.attempt, told_phase, told.step) = (known.attempt, phase, known.step)
        AND told.cancel IS NOT DISTINCT FROM known.cancel AND NOT headway.stalled(known, now)
    THEN
        outcome := 'heartbeat';
        told.version := known.version;
        told.ended_at := known.ended_at;
        told.seen_at := now;
        head := headway.kept(told, known);
    ELSE
        outcome := 'applied';
        head := headway.stamped(told, known, now);
        rings := true;
    END IF;
END
$$;

-- An end (or a retry) told by somebody who is not the worker: counts are kept, the first end wins.
CREATE FUNCTION headway.end_job(
    known headway.job, attempt bigint, status text, now bigint,
    OUT outcome text, OUT head headway.job
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    phase smallint := headway.phase(known.status, known.ended_at);
    told_phase smallint := headway.phase(status, NULL);
BEGIN
    IF known.id IS NULL OR attempt > known.attempt THEN
        outcome := 'missing';
    ELSIF attempt < known.attempt THEN
        outcome := 'superseded';
    ELSIF told_phase <= phase AND phase >= 2 THEN
        outcome := CASE WHEN status = known.status THEN 'same' ELSE 'ended' END;
    ELSIF status = 'retrying' AND known.cancel IS NOT NULL THEN
        outcome := 'applied';
        head := headway.cancelled_by_store(known, now);
    ELSE
        outcome := 'applied';
        head := known;
        head.status := status;
        head.ended_at := CASE told_phase WHEN 3 THEN now END;
        head.seen_at := now;
        head := headway.versioned(head, known, now);
    END IF;
END
$$;

-- Somebody asks the job to stop.  A job that nobody holds ends at once.
CREATE FUNCTION headway.request_cancel(
    known headway.job, now bigint, OUT outcome text, OUT head headway.job
) LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
    phase smallint := headway.phase(known.status, known.ended_at);
BEGIN
    IF known.id IS NULL THEN
        outcome := 'missing';
    ELSIF phase = 3 THEN
        outcome := 'ended';
    ELSIF NOT known.cancellable THEN
        outcome := 'no return';
    ELSIF phase <> 1 OR headway.stalled(known, now) THEN
        outcome := 'applied';
        head := headway.cancelled_by_store(known, now);
    ELSIF known.cancel IS NOT NULL THEN
        outcome := 'same';
    ELSE
        outcome := 'applied';
        head := known;
        head.cancel := 'requested';
        head := headway.versioned(head, known, now);
    END IF;
END
$$;
